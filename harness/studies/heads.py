"""`heads`: which kind of heads, and how many layers beneath them, at equal parameters?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Claim, Part, Recipe, Results, Study
from mtp_eval.harness.studies.figures import by_recipe, curves
from mtp_eval.harness.studies.measures import pass_at_1, steps_until
from mtp_eval.results.report.figure import Plot, legend, make_panels

SCORE, HALF = pass_at_1(), steps_until(0.5)
TABLE_S4 = "arXiv 2404.19737, Table S4"
KINDS = ("parallel", "causal", "anticausal", "linear", "replicated")


def figure(results: Results) -> Plot:
    """Scores by kind of head, and learning curves."""
    (part,) = results.parts()
    figure, (left, right) = make_panels(2)
    by_recipe(left, results, part, SCORE, "")
    left.tick_params(axis="x", labelrotation=30)
    curves(right, results, part)
    legend(figure)
    return Plot("heads", "Greedy pass@1 by kind of head (bars: 95 % intervals over seeds) and learning curves.", figure)


STUDY = Study(
    name="heads",
    asks="which kind of heads learns most?",
    paper=(
        "7B parameters, 200 billion tokens of code, n=4 (Table S4; MBPP, HumanEval pass@1): n=1 30.0, 22.8; parallel 33.8, 24.0; "
        "causal 31.9, 20.9; anticausal 30.8, "
        "20.9; linear 33.6, 21.9; parallel with three layers more 33.3, 22.4. Differences of one or two points, one run each. "
        "Here: n=2 on `chain`."
    ),
    parts=(
        Part(
            "chain",
            "chain",
            (
                Recipe("heads-next-token", "n=1", "chain-n1"),
                *(Recipe(f"heads-{kind}", kind, "chain-n2", {"model.head_kind": kind}) for kind in KINDS),
                Recipe("heads-extra-layer", "parallel + 1 layer", "chain-n2", {"model.extra_layers": 1}),
            ),
            minutes=0.7,
            watch=0.5,
        ),
    ),
    measures=(SCORE, HALF),
    claims=tuple(
        Claim(text, TABLE_S4, SCORE, candidate, baseline, matters=5.0, learnt=35.0)
        for text, candidate, baseline in (
            ("parallel heads are ahead of the next-token model", "heads-parallel", "heads-next-token"),
            ("linear heads are ahead of the next-token model", "heads-linear", "heads-next-token"),
            ("parallel heads are ahead of causal ones", "heads-parallel", "heads-causal"),
            ("parallel heads are ahead of anticausal ones", "heads-parallel", "heads-anticausal"),
            ("parallel heads are ahead of linear ones", "heads-parallel", "heads-linear"),
        )
    ),
    minutes=20.0,
    means=(
        "With linear heads and with replicated unembeddings a head costs less than a layer, so that more layers are left to the "
        "trunk at equal parameters. "
        "`parallel + 1 layer` has one layer more than the others and is no equal. A kind that is best here, on two hops in a "
        "graph, need not be on code."
    ),
    figure=figure,
)
