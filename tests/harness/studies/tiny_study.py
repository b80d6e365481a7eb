"""A study of seconds: two tiny models of `chain`, for tests in this process and in others they start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtp_eval.harness.studies.conduct import Finished, conduct
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.definition import Part, Recipe, Results, Study
from mtp_eval.harness.studies.figures import by_recipe, curves
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at_1, steps_until
from mtp_eval.harness.studies.recipes import Question
from mtp_eval.results.report.figure import Plot, legend, make_panels

SCORE = pass_at_1()
SMALL = {
    "steps": 20,
    "batch_size": 4,
    "model.d_model": 16,
    "model.n_layers": 3,
    "model.context_length": 56,
    "data.tokenizer": "bytes",
    "data.holdout": 0.2,
}


def figure(results: Results) -> Plot:
    figure, (left, right) = make_panels(2)
    by_recipe(left, results, results.parts()[0], SCORE, "n")
    curves(right, results, results.parts()[0], guess=0.2)
    legend(figure)
    return Plot("tiny", "A tiny study.", figure)


MODELS = tuple(Recipe(f"tiny-n{n}", f"n={n}", f"chain-n{n}", SMALL) for n in (1, 2))
DRAFTING = MODELS[1].timed(
    "tiny-n2-drafting", "n=2, drafting", domain="code", prompt_tokens=8, new_tokens=16, heads=2, batch_size=2, prompts=4,
    temperature=0.0,
)  # fmt: skip
AGAIN = MODELS[1].again("tiny-n2-again", "n=2, drafting in its run", decode="self-speculative", draft_heads=2)

STUDY = Study(
    name="tiny",
    asks="does it work?",
    paper="Nothing.",
    parts=(
        Part(
            "chain",
            "chain@n8h2-text",
            (*MODELS, DRAFTING, AGAIN),
            minutes=0.1,
            run={"limit": 20, "decode": "autoregressive"},
            seeds=3,
            watch=0.5,
        ),
    ),
    measures=(SCORE, steps_until(0.5), bits_per_byte()),
    claims=(
        Question("nowhere", SCORE, learnt=50.0).claim("n=2 is above n=1", "tiny-n2", "tiny-n1"),
        Question("nowhere", bits_per_byte(), matters=0.5).claim("n=2 has more bits", "tiny-n2", "tiny-n1"),
    ),
    minutes=2.0,
    means="It means nothing.",
    figure=figure,
)


def tiny(out: Path, **options: Any) -> Finished:
    return conduct(STUDY, StudyConfig(jobs=2, **options or {"seeds": 3}), out)
