"""`heads`: which kind of heads, and how many layers beneath them, at equal parameters?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Part, Recipe, Study
from mtp_eval.harness.studies.measures import pass_at_1, steps_until
from mtp_eval.harness.studies.recipes import Question, panels

SCORE, HALF = pass_at_1(), steps_until(0.5)
TABLE_S4 = "arXiv 2404.19737, Table S4"
KINDS = ("parallel", "causal", "anticausal", "linear", "replicated", "sequential")


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
                Recipe("heads-order", "n=1 and token order", "chain-n1", {"loss.order_window": 4}),
                Recipe("heads-registers", "n=1 and registers", "chain-n1", {"loss.register_distance": 4}),
                Recipe("heads-extra-layer", "parallel + 1 layer", "chain-n2", {"model.extra_layers": 1}),
            ),
            minutes=0.7,
            watch=0.5,
        ),
    ),
    measures=(SCORE, HALF),
    claims=(
        *(
            Question(TABLE_S4, SCORE, learnt=35.0).claim(text, candidate, baseline, paper)
            for text, candidate, baseline, paper in (
                (
                    "parallel heads are ahead of the next-token model",
                    "heads-parallel",
                    "heads-next-token",
                    "MBPP 30.0 to 33.8",
                ),
                (
                    "linear heads are ahead of the next-token model",
                    "heads-linear",
                    "heads-next-token",
                    "MBPP 30.0 to 33.6",
                ),
                ("parallel heads are ahead of causal ones", "heads-parallel", "heads-causal", "MBPP 31.9 to 33.8"),
                (
                    "parallel heads are ahead of anticausal ones",
                    "heads-parallel",
                    "heads-anticausal",
                    "MBPP 30.8 to 33.8",
                ),
                ("parallel heads are ahead of linear ones", "heads-parallel", "heads-linear", "MBPP 33.6 to 33.8"),
            )
        ),
        Question("arXiv 2508.19228", SCORE, learnt=35.0).claim(
            "a next-token model that learns the order of coming tokens, too, is ahead of one that does not",
            "heads-order",
            "heads-next-token",
        ),
        Question("arXiv 2508.19228", SCORE, learnt=35.0).claim(
            "a next-token model that learns the order of coming tokens, too, is ahead of parallel heads",
            "heads-order",
            "heads-parallel",
        ),
        Question("arXiv 2505.10518", SCORE, learnt=35.0).claim(
            "a next-token model trained with registers is ahead of one without", "heads-registers", "heads-next-token"
        ),
        Question("arXiv 2505.10518", SCORE, learnt=35.0).claim(
            "a next-token model trained with registers is ahead of parallel heads", "heads-registers", "heads-parallel"
        ),
    ),
    minutes=20.0,
    means=(
        "With linear heads and with replicated unembeddings a head costs less than a layer, so that more layers are left to the "
        "trunk at equal parameters; a sequential module costs a projection more than a layer, and is in no claim of Table S4. "
        "`parallel + 1 layer` has one layer more than the others and is no equal; in training only, `n=1 and token order` has an "
        "unembedding more and a step of `n=1 and registers` twice the work. A kind that is best here, on two hops in a graph, need not "
        "be on code."
    ),
    figure=panels(
        "heads", "Greedy pass@1 by kind of head (bars: 95 % intervals over seeds) and learning curves.", (SCORE,), x=""
    ),
)
