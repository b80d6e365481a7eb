"""`code-scaling`: is n>1 behind n=1 in small models of code, and does that change with their size?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtp_eval.harness.studies.definition import Measure, Part, Results, Study
from mtp_eval.harness.studies.figures import against_sizes
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at
from mtp_eval.harness.studies.recipes import Question, by_n
from mtp_eval.results.report.figure import Plot, legend, make_panels

BITS = bits_per_byte()
LISTOPS, ROUTE, ROUTE_10 = pass_at(1, task="listops"), pass_at(1, task="route"), pass_at(10, task="route")
HUMANEVAL, MBPP = pass_at(1, task="humaneval"), pass_at(1, task="mbpp")
TABLE_S7 = "arXiv 2404.19737, Table S7 and Figure 3"
PREDICTS_WORSE = Question(TABLE_S7, BITS, matters=0.02, paper="MBPP 1.8 to 1.0 at 0.3B")
WRITES_LESS = Question(TABLE_S7, LISTOPS, learnt=20.0, rises=False, paper="MBPP 1.8 to 1.0 at 0.3B")
LOOKS_AHEAD = Question("arXiv 2404.19737, section 5.1", ROUTE, learnt=40.0)
NS = (1, 2, 4)
WIDTHS: Mapping[str, tuple[int, int]] = {"code": (48, 96), "listops": (48, 96), "route": (32, 64)}
CHANGES: Mapping[str, Mapping[str, Any]] = {"code": {"steps": 300}}
"""Of the presets: with 500 steps five seeds of both widths of code take some thirty minutes of two cores."""
SHOWN: Mapping[str, tuple[Measure, ...]] = {"code": (BITS, HUMANEVAL, MBPP), "listops": (LISTOPS,), "route": (ROUTE,)}


def sizes(family: str, preset: str, task: str, minutes: float, run: Mapping[str, Any]) -> tuple[Part, ...]:
    """A part for each width, with n = 1, 2, 4 at equal parameters."""
    return tuple(
        Part(
            f"{family} d={width}",
            task,
            by_n(f"{family}-d{width}", preset, NS, {"model.d_model": width, **CHANGES.get(family, {})}),
            minutes=minutes,
            run=run,
        )
        for width in WIDTHS[family]
    )


def figure(results: Results) -> Plot:
    """Scores against size, a line for each n."""
    families = {name: [part for part in results.parts() if part.name.startswith(f"{name} ")] for name in SHOWN}
    drawn = [(parts, measure) for name, parts in families.items() if parts for measure in SHOWN[name]]
    figure, axes = make_panels(len(drawn), height=3.4)
    for ax, (parts, measure) in zip(axes, drawn, strict=True):
        against_sizes(ax, results, parts, measure, parts[0].name.partition(" ")[0])
    legend(figure)
    return Plot("code-scaling", "Scores by width for n = 1, 2, 4; bars are 95 % intervals over seeds.", figure)


STUDY = Study(
    name="code-scaling",
    asks="is predicting more tokens a loss for small models of code, and does that change with their size?",
    paper=(
        "MBPP pass@1 with n = 1, 2, 4 (Table S7): 0.3B 1.8, 1.7, 1.0; 0.6B 4.7, 4.6, 3.0; 1.3B 6.8, 7.3, 7.4; 3B 11.1, 11.8, 12.7; "
        "6.7B 23.9, 24.7, 26.0; 13B 26.0, 30.5, 30.5; HumanEval pass@1 at 13B 14.1, 15.2, 15.8. The four smaller sizes had 91 "
        "billion tokens, the two larger ones 210. Here: 0.1M to 0.7M parameters, of which n>1 should be behind on code."
    ),
    parts=(
        *sizes("code", "code-tiny-n4", "humaneval,mbpp", 2.0, {"limit": 50, "max_new_tokens": 96, "decode": "autoregressive"}),
        *sizes("route", "route-n4", "route", 1.6, {"limit": 200, "n_samples": 10, "temperature": 0.4, "k": (1, 10)}),
        *sizes("listops", "listops-n4", "listops", 2.5, {"limit": 200, "decode": "autoregressive"}),
    ),
    measures=(BITS, LISTOPS, ROUTE, ROUTE_10, HUMANEVAL, MBPP),
    claims=(
        *(
            PREDICTS_WORSE.claim(
                f"in models of code of width {width}, n=4 needs more bits per byte for the next byte than n=1",
                f"code-d{width}-n4", f"code-d{width}-n1",
            )
            for width in WIDTHS["code"]
        ),
        *(
            LOOKS_AHEAD.claim(
                f"in models of width {width}, n=2 writes more route programs right than n=1",
                f"route-d{width}-n2", f"route-d{width}-n1",
            )
            for width in WIDTHS["route"]
        ),
        *(
            WRITES_LESS.claim(
                f"in models of width {width}, n=4 writes fewer listops programs right than n=1",
                f"listops-d{width}-n4", f"listops-d{width}-n1",
            )
            for width in WIDTHS["listops"]
        ),
    ),
    minutes=30.0,
    means=(
        "Two narrow widths are no scaling law: they say on which side of the paper's crossing (between 0.6B and 3B parameters) models "
        "are that fit a laptop. No model of this size solves a problem of HumanEval or MBPP, so that their columns show zeros, and bits "
        "per byte of held-out standard library stand for them. `route` is there because it needs what n=2 teaches, whatever the size."
    ),
    figure=figure,
)  # fmt: skip
