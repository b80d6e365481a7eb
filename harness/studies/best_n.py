"""`best-n`: which n is best at equal compute, and is the n that training chooses by itself as good?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtp_eval.harness.studies.definition import Measure, Part, Recipe, Results, Study
from mtp_eval.harness.studies.figures import by_recipe
from mtp_eval.harness.studies.measures import bits_per_byte, n_future, pass_at_1
from mtp_eval.harness.studies.near_best import NearBest
from mtp_eval.harness.studies.recipes import by_n
from mtp_eval.results.report.figure import Plot, make_panels

SCORE, BITS, CHOSEN = pass_at_1(), bits_per_byte(), n_future()
OPEN = "arXiv 2404.19737, section 7: how to choose n automatically is left open"
NS = (1, 2, 3, 4, 6, 8)
LAYERS = 16
"""Of the next-token model: eight heads with their unembeddings leave a trunk of one to four layers for the same FLOPs."""
WIDTHS = (32, 48)


@dataclass(frozen=True)
class Family:
    """A task with its models.

    Args:
        preset, task: what is trained, and on what it is tested.
        minutes: of a cell at the smaller width, about.
        changes: of the preset.
        run: options of the run.
        seeds: of each recipe.
        measure: by which n is best.
        learnt: a score that says that something was learnt.
        matters: the smallest difference that would count.
        seen: whether the rule that chooses n was made with this task in view.
    """

    preset: str
    task: str
    minutes: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    measure: Measure = SCORE
    learnt: float = 0.0
    matters: float = 5.0
    seen: bool = False


FAMILIES: Mapping[str, Family] = {
    "chain": Family("chain-n2", "chain", 1.0, seeds=5, learnt=45.0, run={"limit": 500}, seen=True),
    "route": Family("route-n2", "route", 2.0, seeds=5, learnt=40.0, run={"limit": 500}, seen=True),
    "listops": Family(
        "listops-n4", "listops", 3.0, learnt=20.0, run={"limit": 200, "decode": "autoregressive"}
    ),
    "code": Family(
        "code-tiny-n4", "humaneval", 2.0, measure=BITS, matters=0.02, seen=True,
        run={"limit": 10, "max_new_tokens": 16, "decode": "autoregressive"},
    ),
    "text": Family(
        "code-tiny-n4", "sentences", 2.0, {"data.sources": ["task:sentences"]}, measure=BITS, matters=0.02
    ),
}  # fmt: skip


def part(name: str, width: int) -> Part:
    """One task at one width: the grid, and the models that choose n."""
    family, prefix = FAMILIES[name], f"best-n-{name}-d{width}"
    changes = {**family.changes, "model.n_layers": LAYERS, "model.d_model": width, "model.match": "flops"}
    asked = {**changes, "model.n_future": "auto", "choice.candidates": list(NS)}
    grid = by_n(prefix, family.preset, NS, changes)
    chooses = Recipe(f"{prefix}-auto", "chosen", family.preset, asked)
    return Part(
        f"{name} d={width}",
        family.task,
        (*grid, chooses),
        minutes=family.minutes * (1.4 if width == WIDTHS[1] else 1.0),
        run=family.run,
        seeds=family.seeds,
    )


def claims() -> Iterator[NearBest]:
    """For every part, that the choice is as good as the best of the grid."""
    for width in WIDTHS:
        for name, family in FAMILIES.items():
            prefix = f"best-n-{name}-d{width}"
            yield NearBest(
                text=(
                    f"on {name} at width {width} the n that training chooses is as good as the best one"
                    f"{' (the rule was made with this task in view)' if family.seen else ''}"
                ),
                source=OPEN,
                measure=family.measure,
                matters=family.matters,
                candidate=f"{prefix}-auto",
                grid=tuple(f"{prefix}-n{n}" for n in NS),
                rises=family.measure is SCORE,
                learnt=family.learnt,
            )


def figure(results: Results) -> Plot:
    """The measure by which n is best, a panel for each part, seed by seed."""
    parts = results.parts()
    figure, axes = make_panels(len(parts), height=3.4)
    for ax, one in zip(axes, parts, strict=True):
        by_recipe(ax, results, one, FAMILIES[one.name.partition(" ")[0]].measure, "tokens predicted at once")
    caption = "Score, or bits per byte of held-out text, by n at equal compute; points are seeds, bars 95 % intervals."
    return Plot("best-n", caption, figure)


STUDY = Study(
    name="best-n",
    asks="which n is best at equal compute, and does training find it by itself?",
    paper=(
        "With 32,000 tokens n=4 is best for code, n=6 on APPS, with bytes n=8 (Table 1); how to choose n automatically, by loss weights "
        "or by changing n, is named as an open question (section 7). Here: n = 1, 2, 3, 4, 6, 8 with as nearly equal FLOPs as whole layers "
        'allow, and models that are trained with `model.n_future = "auto"`.'
    ),
    parts=tuple(part(name, width) for width in WIDTHS for name in FAMILIES),
    measures=(SCORE, BITS, CHOSEN),
    claims=tuple(claims()),
    minutes=20.0,
    means=(
        "A model that chooses its n is, from then on, the grid's with that n and seed: what is tested is the choice. It costs at most a "
        "tenth of the training's FLOPs, which come on top. "
        "Equal compute is not equal parameters: a further head's unembedding costs FLOPs, which the trunk gives up in layers. The "
        "best of six means is, by chance, too good by about a standard error, so that the bar is a hard one. What is best here is best "
        "for models of 0.2 to 0.5 million parameters; the paper's n=4 is that of 7 billion."
    ),
    figure=figure,
)
