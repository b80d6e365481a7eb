"""`whitespace`: does white space before the answer, in which a model could compute, change n=4 more than n=1?"""

from __future__ import annotations

from mtp_eval.harness.studies.claims import NoGain
from mtp_eval.harness.studies.definition import Part, Study
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at_1
from mtp_eval.harness.studies.recipes import by_n, panels

SCORE = pass_at_1()
TABLE_S11 = "arXiv 2404.19737, Table S11"
MODELS = by_n("whitespace-listops", "listops-n4", (1, 4))
PAUSES = {"nl": "an empty line", "spaces": "three spaces and a line end"}
"""What stands behind the prompt, by what it adds to the protocol's name."""
AGAIN = tuple(
    model.again(f"{model.name}-{pause}", f"{model.label}, {said}", on=f"listops@0shot-steps-{pause}")
    for pause, said in PAUSES.items()
    for model in MODELS
)

STUDY = Study(
    name="whitespace",
    asks="does white space before the answer change n=4 more than n=1?",
    paper=(
        "White space behind the prompt as a pause to compute in, change of the score with n=1 and n=4 (Table S11): APPS, spaces and line "
        "ends, +0.21 and +0.34, line ends +0.79 and +0.69; HumanEval -0.72 and -0.16, -0.26 and +0.10; MBPP -0.10 and -0.06, +0.03 and "
        "-0.08; on average -0.01 and +0.14. Here: programs of list operations, as no model of this size solves those benchmarks."
    ),
    parts=(
        Part(
            "listops",
            "listops",
            (*MODELS, *AGAIN),
            minutes=2.7,
            again_minutes=0.4,
            seeds=5,
            run={"decode": "autoregressive", "limit": 200},
        ),
    ),
    measures=(SCORE, bits_per_byte()),
    claims=tuple(
        NoGain(
            text=f"with {said} behind the prompt n=4 gains no more than n=1",
            source=TABLE_S11,
            measure=SCORE,
            matters=5.0,
            learnt=-100.0,  # changes of scores, which may be losses
            paper="on average -0.01 with n=1, +0.14 with n=4",
            candidate=f"whitespace-listops-n4-{pause}",
            candidate_from="whitespace-listops-n4",
            baseline=f"whitespace-listops-n1-{pause}",
            baseline_from="whitespace-listops-n1",
        )
        for pause, said in PAUSES.items()
    ),
    minutes=20.0,
    means=(
        "Training has no such white space, so that a small model may take it for something else and fail: then both changes are losses, "
        "and the claim says no more than that n=4 does not lose less. What is compared is the change of each model's own score, seed "
        "by seed."
    ),
    figure=panels("whitespace", "Greedy pass@1 with white space behind the prompt and without.", (SCORE,), x=""),
)
