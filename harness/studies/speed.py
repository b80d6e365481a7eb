"""`speed`: how much faster do models decode that draft with their own heads, and what do these heads cost in training?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Part, Recipe, Study
from mtp_eval.harness.studies.measures import speed_up, step_milliseconds, tokens_per_forward
from mtp_eval.harness.studies.recipes import Question, by_n, panels

FASTER, TOKENS, STEP = speed_up(), tokens_per_forward(), step_milliseconds()
TABLE_S2 = "arXiv 2404.19737, Table S2"
FASTER_BY_HEADS = Question(TABLE_S2, FASTER, matters=0.1)
MORE_TOKENS = Question(TABLE_S2, TOKENS, matters=0.1)
COSTS_MORE = Question("arXiv 2404.19737, Table S5", STEP, matters=0.05, relative=True)

MODEL = Recipe(
    "speed-plain",
    "plain",
    "listops-n4",
    {"model.match": "layers", "optimizer.learning_rate": 1e-3, "steps": 400},
    run={"decode": "autoregressive"},
)
"""Heads on top of all layers, trained until most of their drafts are kept: what drafting gains depends on that first of all."""


def drafting(heads: int, batch_size: int) -> Recipe:
    """The same models, decoded with so many heads and plainly in turns: 16 prompts of the test, greedily."""
    return MODEL.timed(
        f"speed-k{heads}-b{batch_size}",
        f"{heads} heads, batch {batch_size}",
        domain="listops",
        heads=heads,
        batch_size=batch_size,
        temperature=0.0,
    )


STUDY = Study(
    name="speed",
    asks="how much faster do models decode that draft with their own heads, and what do the heads cost in training?",
    paper=(
        "A 7B model with n=4, greedy, prompts and completions of 512 tokens, batches of up to 42, said to be as fast at every batch "
        "(Table S2; rate over its own plain decoding, tokens per forward in brackets): on code 1.85 (1.94) with two heads, 2.54 "
        "(2.78) with three, 3.05 (3.50) with four; on Wikipedia 1.79, 2.35, 2.74. A training step costs 1.07 times that of n=1 "
        "with n=2 at 0.3B parameters and 1.22 times with n=4, 1.02 and 1.07 times at 6.7B, where what is lost is overlap between GPUs "
        "(Table S5). Here: programs of list operations, byte by byte."
    ),
    parts=(
        Part(
            "decoding",
            "listops",
            (MODEL, *(drafting(heads, batch) for batch in (1, 8) for heads in (2, 3, 4))),
            minutes=2.5,
            again_minutes=0.4,
            run={"limit": 40},
            seeds=3,
        ),
        Part(
            "training",
            "listops",
            by_n("speed-train", "listops-n4", (1, 2, 4), {"steps": 60}),
            minutes=0.5,
            run={"limit": 4, "decode": "autoregressive"},
        ),
    ),
    measures=(FASTER, TOKENS, STEP),
    claims=(
        FASTER_BY_HEADS.claim(
            "one at a time, two heads decode faster than one (plain decoding)", "speed-k2-b1", "speed-plain", "1.85 on code"
        ),
        FASTER_BY_HEADS.claim("one at a time, four heads decode faster than two", "speed-k4-b1", "speed-k2-b1", "1.85 to 3.05 on code"),
        FASTER_BY_HEADS.claim(
            "in batches of eight, four heads decode faster than one", "speed-k4-b8", "speed-plain", "3.05 on code, batches of up to 42"
        ),
        MORE_TOKENS.claim(
            "four heads confirm more tokens with each forward than two", "speed-k4-b1", "speed-k2-b1", "1.94 to 3.50 on code"
        ),
        COSTS_MORE.claim(
            "a training step of n=4 costs more than one of n=1 with as many parameters",
            "speed-train-n4", "speed-train-n1", "1.22 times at 0.3B, 1.07 at 6.7B",
        ),
    ),
    minutes=20.0,
    means=(
        "Rates are in CPU time of one thread, drafting and plain decoding of the same model in turns. They say what drafting gains "
        "for this model, task and machine: how many drafts are kept depends on how regular the text is (these programs are far more "
        "regular than code), and what a forward with drafts costs depends on machine and batch. On a GPU both are others. At this "
        "width a step's extra cost is that of n unembeddings and of n passes through small matrices, not of GPUs that wait."
    ),
    figure=panels(
        "speed",
        "Decoding over plain decoding of the same model, tokens for each forward, and the cost of a training step; points are seeds, "
        "bars 95 % intervals.",
        (FASTER, TOKENS),
        x="",
        of_part={"training": (STEP,)},
    ),
)  # fmt: skip
