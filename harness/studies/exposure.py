"""`exposure`: is what n>1 closes the gap between training on true prefixes and writing on one's own?"""

from __future__ import annotations

from statistics import fmean

from mtp_eval.harness.studies.definition import Part, Results, Study
from mtp_eval.harness.studies.exposed import FORCED, FREE, GAP, LOOK
from mtp_eval.harness.studies.measures import pass_at_1
from mtp_eval.harness.studies.recipes import Question, by_n
from mtp_eval.results.report.figure import Plot, finish, legend, make_panels, style_of

SCORE = pass_at_1()
NS = (1, 2, 4)
EXPLAINED = "announcement of arXiv 2404.19737, and its section 5: teacher forcing is not what models do when they write"
NARROWER = Question(EXPLAINED, GAP, matters=2.0, rises=False)
FREER = Question(EXPLAINED, FREE, matters=2.0)


def figure(results: Results) -> Plot:
    """Both accuracies by position of the answer, a panel for each part."""
    parts = results.parts()
    figure, axes = make_panels(len(parts))
    for ax, part in zip(axes, parts, strict=True):
        for place, recipe in enumerate(part.recipes):
            found = [cell.examined(LOOK).by_position() for cell in results.of(recipe.name).values()]
            look = style_of(place)
            for forced, label in ((True, f"{recipe.label}, teacher-forced"), (False, f"{recipe.label}, free")):
                curves = [one[0 if forced else 1] for one in found]
                means = [100 * fmean(of_seeds) for of_seeds in zip(*curves, strict=True)]
                style = {**look, "linestyle": "-" if forced else (0, (2, 2))}
                ax.plot(range(1, len(means) + 1), means, label=label, **style)
        ax.set_ylim(-3, 103)
        ax.locator_params(axis="x", integer=True)
        finish(ax, part.name, "token of the answer", "right (%)")
    legend(figure)
    return Plot(
        "exposure",
        "Share of right tokens by position: after the true ones before it, and in what the model writes.",
        figure,
    )


STUDY = Study(
    name="exposure",
    asks="does predicting n tokens narrow the gap between training on true prefixes and writing?",
    paper=(
        "Next-token models learn every token after the true ones, and write after their own: the announcement and section 5 give that "
        "mismatch as a reason for the gains of n>1. The paper measures nothing of it. Here: tokens of the reference that are right after "
        "the true ones before them, against those at the same place of what the model writes, greedily."
    ),
    parts=(
        Part("route", "route", by_n("exposure-route", "route-n2", NS), minutes=1.6, seeds=3, run={"limit": 500}),
        Part(
            "listops",
            "listops",
            by_n("exposure-listops", "listops-n4", NS),
            minutes=1.5,
            seeds=3,
            run={"decode": "autoregressive"},
        ),
        Part(
            "code",
            "humaneval",
            by_n("exposure-code", "code-tiny-n4", NS, {"model.context_length": 512, "batch_size": 8}),
            minutes=3.0,
            seeds=3,
            run={"max_new_tokens": 64, "decode": "autoregressive"},
        ),
    ),
    measures=(FORCED, FREE, GAP, SCORE),
    claims=(
        *(
            question.claim(text.format(task=task, n=n), f"exposure-{task}-n{n}", f"exposure-{task}-n1")
            for task in ("route", "listops", "code")
            for n in NS[1:]
            for question, text in (
                (NARROWER, "on {task} the gap between teacher-forced and free-running accuracy is narrower with n={n} than with n=1"),
                (FREER, "on {task} n={n} writes more tokens of the reference at their places than n=1"),
            )
        ),
    ),
    minutes=20.0,
    means=(
        "The gap is also narrow where nothing is learnt, and where everything is: it says something beside the two accuracies only. In "
        "`route` the path is the only right one, so that a wrong first token makes all later ones wrong; in `listops` and code another "
        "right program counts as wrong from where it leaves the reference. On code models of this size are right for a few tokens only."
    ),
    figure=figure,
)  # fmt: skip
