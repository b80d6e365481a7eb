"""`bytes`: do models of bytes gain more from many heads, in what they learn and in how fast they decode?"""

from __future__ import annotations

from dataclasses import replace

from mtp_eval.harness.studies.definition import Part, Study
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at_1, speed_up, tokens_per_forward
from mtp_eval.harness.studies.recipes import Question, by_n, panels

SCORE, BITS, FASTER, TOKENS = pass_at_1(), bits_per_byte(), speed_up(), tokens_per_forward()
TABLE_1, TABLE_S3 = "arXiv 2404.19737, Table 1", "arXiv 2404.19737, Table S3"
LEARNS = Question(TABLE_1, SCORE, learnt=20.0)
FASTER_BY_HEADS = Question(TABLE_S3, FASTER, matters=0.1)
MORE_TOKENS = Question(TABLE_S3, TOKENS, matters=0.2)

MODELS = tuple(
    replace(recipe, run={"decode": "autoregressive"})
    for recipe in by_n("bytes", "listops-n4", (1, 8, 16), {"model.d_model": 48, "model.n_layers": 20})
)
DRAFTING = tuple(
    recipe.timed(
        f"{recipe.name}-drafting", f"{recipe.label}, drafting", domain="listops", heads=heads, batch_size=8, temperature=0.0,
    )
    for recipe, heads in zip(MODELS[1:], (8, 16), strict=True)
)  # fmt: skip

STUDY = Study(
    name="bytes",
    asks="do models of bytes gain more from many heads?",
    paper=(
        "7B parameters, 313 billion bytes of code (Table 1; MBPP, HumanEval pass@1): n=1 19.3, 18.1; n=8 32.3, 21.8; n=16 28.6, 20.4; "
        "n=32 23.0, 17.2. Drafting with all heads decodes 6.39 times as fast with n=8 (7.04 bytes for each forward) and 9.24 times "
        "with n=16 (11.20) in batches of 16 (Table S3). Its byte models have replicated unembeddings (Table S13); here heads are "
        "parallel, the models half a million parameters, and the text programs of one to three list operations."
    ),
    parts=(
        Part("listops", "listops", (*MODELS, *DRAFTING), minutes=7.0, again_minutes=0.7, run={"limit": 200}, seeds=3),
    ),
    measures=(SCORE, BITS, TOKENS, FASTER),
    claims=(
        LEARNS.claim("n=8 writes more programs right than n=1", "bytes-n8", "bytes-n1", "MBPP 19.3 to 32.3"),
        LEARNS.claim("n=16 writes more programs right than n=1", "bytes-n16", "bytes-n1", "MBPP 19.3 to 28.6"),
        LEARNS.claim("n=8 writes more programs right than n=16", "bytes-n8", "bytes-n16", "MBPP 28.6 to 32.3"),
        MORE_TOKENS.claim(
            "n=16 confirms more bytes with each forward than n=8", "bytes-n16-drafting", "bytes-n8-drafting", "7.04 to 11.20"
        ),
        FASTER_BY_HEADS.claim("n=8 decodes faster with its drafts than without", "bytes-n8-drafting", "bytes-n8", "6.39 times"),
        FASTER_BY_HEADS.claim("n=16 decodes faster with its drafts than without", "bytes-n16-drafting", "bytes-n16", "9.24 times"),
    ),
    minutes=20.0,
    means=(
        "All models have the same parameters in 20 narrow layers, of which n=16 leaves four below its heads: what many heads teach "
        "and what the shallow trunk loses are one figure. Bytes of these programs are far easier to foresee than those of code, so "
        "that speed is near the most that n heads can give, while a verdict on learning says little about a model of 7B parameters."
    ),
    figure=panels(
        "bytes",
        "Programs right, bits per byte, bytes for each forward, and decoding over plain decoding; points are seeds, bars 95 % "
        "intervals.",
        (SCORE, BITS, TOKENS, FASTER),
        x="",
    ),
)  # fmt: skip
