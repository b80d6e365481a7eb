"""`arithmetic`: do models that predict several tokens learn polynomial arithmetic better, and do pause tokens add to it?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Part, Results, Study
from mtp_eval.harness.studies.figures import against_groups
from mtp_eval.harness.studies.measures import pass_at_1
from mtp_eval.harness.studies.recipes import Question, by_n
from mtp_eval.results.report.figure import Plot, legend, make_panels

IN_DOMAIN = pass_at_1("01", "02", "03", title="m = 1 to 3")
OUT_OF_DOMAIN = pass_at_1("04", "05", "06", title="m = 4 to 6")
GROUPS = ("01", "02", "03", "04", "05", "06")
FIGURE_8 = "arXiv 2404.19737, section 4.2 and Figure 8"
INSIDE, BEYOND = (Question(FIGURE_8, measure, learnt=45.0) for measure in (IN_DOMAIN, OUT_OF_DOMAIN))


def figure(results: Results) -> Plot:
    """Accuracy against m, as the paper's Figure 8."""
    parts = results.parts()
    figure, axes = make_panels(len(parts), sharey=True)
    for ax, part in zip(axes, parts, strict=True):
        against_groups(ax, results, part, GROUPS, "m (operations)", edge=3)
    legend(figure)
    return Plot("arithmetic", "Greedy accuracy by number of operations; bands are 95 % intervals over seeds.", figure)


STUDY = Study(
    name="arithmetic",
    asks="does predicting several tokens help to learn polynomial arithmetic?",
    paper=(
        "In F_7[X]/(X^5), 100M parameters, 26 billion tokens, two runs each (Figure 8, read by eye, ± 2 points): m = 1: 87 % "
        "with n=1, 93 with n=2, "
        "92 with n=4; m = 3: 44, 53, 52; m = 5: 16, 25, 23; out of domain m = 6: 6, 13, 12; m = 7: 1 to 2, 5, 5. Runs differ by "
        "up to 18 points. Here: "
        "F_2[X]/(X^3), at most three operations in training, 0.2M parameters."
    ),
    parts=(Part("poly", "poly@f2x3-m3", by_n("poly", "poly-n2", (1, 2, 3)), minutes=2.5),),
    measures=(IN_DOMAIN, OUT_OF_DOMAIN),
    claims=(
        INSIDE.claim(
            "n=2 is more often right than n=1 on as many operations as in training", "poly-n2", "poly-n1", "m = 3: 44 to 53"
        ),
        BEYOND.claim(
            "n=2 is more often right than n=1 on more operations than in training", "poly-n2", "poly-n1", "m = 6: 6 to 13"
        ),
        INSIDE.claim(
            "n=3 is more often right than n=1 on as many operations as in training (the paper's is n=4)",
            "poly-n3",
            "poly-n1",
            "n=4, m = 3: 44 to 52",
        ),
    ),
    minutes=20.0,
    means=(
        "The commonest answer is right in 28 % of the problems with m = 1, 2, 3 and in 31 to 35 % beyond: figures near that are "
        "guessing. The models are "
        "500 times smaller than the paper's, and have seen a ten-thousandth of its tokens: a verdict here is one on this size. "
        "Pause tokens are not "
        "part of it: the small ring has no such protocol (`poly@f7x5-pause5` has)."
    ),
    figure=figure,
)  # fmt: skip
