"""`induction`: does predicting two tokens make small models learn to complete names that they have seen before?"""

from __future__ import annotations

from typing import Any

from mtp_eval.harness.studies.definition import Part, Study
from mtp_eval.harness.studies.measures import pass_at_1
from mtp_eval.harness.studies.recipes import Question, by_n, panels

SEEN = pass_at_1("in", title="names of the training")
NEW = pass_at_1("out", title="new names")
FIGURE_7 = "arXiv 2404.19737, section 4.1 and Figure 7"
WIDTHS = (64, 32)
SIZES: dict[str, dict[str, Any]] = {
    "1M": {"model.d_model": 160, "model.n_layers": 3},
    "3M": {"model.d_model": 256, "model.n_layers": 4},
    "10M": {"model.d_model": 400, "model.n_layers": 5, "model.n_heads": 8},
}
"""The paper's smallest sizes, for a GPU."""
LARGER = {"optimizer.learning_rate": 1e-3, "batch_size": 32}
"""Four times the tokens of the small models."""
MODELS = [(f"d{width}", f"models of width {width}") for width in WIDTHS] + [
    (size, f"models of {size} parameters") for size in SIZES
]


STUDY = Study(
    name="induction",
    asks="does predicting two tokens help small models to learn induction?",
    paper=(
        "Children's stories with names of two tokens, 26 billion tokens, two runs a size (Figure 7; its values are not published "
        "as numbers): up to 30M "
        "parameters n=2 is far ahead and n=1 learns practically no induction at the smallest sizes; from 100M on the advantage "
        "is gone. With nine "
        "tenths of better text (appendix J) it stays at 1M and 3M only. Here: 0.05M and 0.2M parameters (on a GPU also 1M, 3M and "
        "10M), bytes, generated stories."
    ),
    parts=(
        *(
            Part(
                f"width {width}",
                "induction@meetings-2",
                by_n(f"induction-d{width}", "induction-n2", (1, 2), {"model.d_model": width}),
                minutes=3.0,
            )
            for width in WIDTHS
        ),
        *(
            Part(
                size,
                "induction@meetings-2",
                by_n(f"induction-{size}", "induction-n2", (1, 2), LARGER | changes),
                minutes=minutes,
                seeds=3,
                on_gpu=True,
            )
            for (size, changes), minutes in zip(SIZES.items(), (60.0, 180.0, 600.0), strict=True)
        ),
    ),
    measures=(SEEN, NEW),
    claims=tuple(
        Question(FIGURE_7, measure, matters=10.0, learnt=50.0, paper="a curve: far ahead up to 30M").claim(
            f"in {models}, n=2 completes more repeated names than n=1 ({measure.name})",
            f"induction-{name}-n2",
            f"induction-{name}-n1",
        )
        for name, models in MODELS
        for measure in (SEEN, NEW)
    ),
    minutes=30.0,
    means=(
        "One of a story's three names, without knowing which, is right in 33 %. Induction is learnt suddenly, at a step that "
        "depends on the seed, so that "
        "five seeds say little unless all of them, or none, are beyond it; the paper's smallest model is five times larger than the "
        "larger of the two widths."
    ),
    figure=panels(
        "induction", "Share of repeated names that were completed; bars are 95 % intervals over seeds.", (SEEN, NEW)
    ),
)
