"""`induction`: does predicting two tokens make small models learn to complete names that they have seen before?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Claim, Part, Recipe, Results, Study
from mtp_eval.harness.studies.figures import by_recipe
from mtp_eval.harness.studies.measures import pass_at_1
from mtp_eval.results.report.figure import Plot, make_panels

SEEN = pass_at_1("in", title="names of the training")
NEW = pass_at_1("out", title="new names")
FIGURE_7 = "arXiv 2404.19737, section 4.1 and Figure 7"
WIDTHS = (64, 32)


def recipes(width: int) -> tuple[Recipe, ...]:
    """n = 1 and 2 of one width; 64 is the preset's."""
    name = f"induction-d{width}"
    return tuple(Recipe(f"{name}-n{n}", f"n={n}", f"induction-n{n}", {"model.d_model": width}) for n in (1, 2))


def figure(results: Results) -> Plot:
    """Accuracy by n, a panel each for width and kind of names, as points of the paper's Figure 7."""
    parts = results.parts()
    figure, axes = make_panels(2 * len(parts))
    for place, part in enumerate(parts):
        for ax, measure in zip(axes[2 * place : 2 * place + 2], (SEEN, NEW), strict=True):
            by_recipe(ax, results, part, measure, "tokens predicted at once")
    return Plot("induction", "Share of repeated names that were completed; bars are 95 % intervals over seeds.", figure)


STUDY = Study(
    name="induction",
    asks="does predicting two tokens help small models to learn induction?",
    paper=(
        "Children's stories with names of two tokens, 26 billion tokens, two runs a size (Figure 7; its values are not published "
        "as numbers): up to 30M "
        "parameters n=2 is far ahead and n=1 learns practically no induction at the smallest sizes; from 100M on the advantage "
        "is gone. With nine "
        "tenths of better text (appendix J) it stays at 1M and 3M only. Here: 0.05M and 0.2M parameters, bytes, generated stories."
    ),
    parts=tuple(Part(f"width {width}", "induction@meetings-2", recipes(width), minutes=3.0) for width in WIDTHS),
    measures=(SEEN, NEW),
    claims=tuple(
        Claim(
            f"in models of width {width}, n=2 completes more repeated names than n=1 ({measure.name})",
            FIGURE_7, measure, f"induction-d{width}-n2", f"induction-d{width}-n1", matters=10.0, learnt=50.0,
        )
        for width in WIDTHS
        for measure in (SEEN, NEW)
    ),
    minutes=30.0,
    means=(
        "One of a story's three names, without knowing which, is right in 33 %. Induction is learnt suddenly, at a step that "
        "depends on the seed, so that "
        "five seeds say little unless all of them, or none, are beyond it; the paper's smallest model is five times larger."
    ),
    figure=figure,
)  # fmt: skip
