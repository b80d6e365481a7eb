"""`natural-language`: does n>1 help or hurt where the answer is not code: choices by likelihood, summaries, word problems?"""

from __future__ import annotations

from dataclasses import replace

from mtp_eval.harness.studies.claims import NoGain
from mtp_eval.harness.studies.definition import Part, Recipe, Study
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at_1
from mtp_eval.harness.studies.recipes import Question, by_n, panels
from mtp_eval.harness.studies.rouge import PACKAGE, rouge

NS = (1, 2, 4)
CHOICES, SOLVED = pass_at_1(task="sentences"), pass_at_1(task="sums")
ROUGE_L, ROUGE_1, BITS = (
    rouge("rougeL", "ROUGE-L", "summaries"),
    rouge("rouge1", "ROUGE-1", "summaries"),
    bits_per_byte(),
)
FIGURE_5, FIGURE_6, FIGURE_S13 = (
    "arXiv 2404.19737, section 3.7 and Figure 5",
    "arXiv 2404.19737, section 3.7, Figure 6 and Tables S8 to S10",
    "arXiv 2404.19737, Figure S13",
)
SUMMARISES = Question(FIGURE_6, ROUGE_L, matters=0.5, learnt=10.0)
PROSE = {"data.sources": ["task:sentences"], "data.tokenizer": "bytes", "data.align_documents": True}
TUNED = {
    "steps": 300,
    "data.sources": ["task:summaries"],
    "data.mask_prompts": True,
    "model.context_length": 448,
    "optimizer.learning_rate": 1e-3,
    "optimizer.clip_norm": 0.1,
}
"""The paper's clip; the loss on summaries alone."""


def pretrained(n: int) -> Recipe:
    """A model of prose whose context holds a description and its summary."""
    changes = {**PROSE, "model.n_future": n, "model.context_length": 448}
    return Recipe(f"natural-language-prose-n{n}", f"n={n}, prose", "code-tiny-n4", changes)


def tuned(n: int) -> Recipe:
    """The same, finetuned on summaries, with all its heads."""
    changes = {**TUNED, "data.align_documents": True, "model.n_future": n}
    recipe = Recipe(f"natural-language-summaries-n{n}", f"n={n}, finetuned", "code-tiny-n4", changes)
    return replace(recipe, starts_from=pretrained(n).name)


STUDY = Study(
    name="natural-language",
    asks="does n>1 help or hurt where the answer is not code?",
    paper=(
        "7B models of natural language: in choice tasks by likelihood n=2 is as good as n=1 and n=4 is worse (Figure 5); finetuned for "
        "summaries n=2 and n=4 are ahead, mean ROUGE-L F1 26.23 with n=1, +0.51 and +0.46 (200 billion tokens; +0.28 and +0.31 at "
        "500; Table S9); on GSM8K n=2 is ahead after 200 billion tokens and behind after 500, n=4 worst (Figure S13). Here, with text "
        "that is on every machine: endings of sentences, summary lines of docstrings, and generated word problems."
    ),
    parts=(
        Part("choices", "sentences", by_n("natural-language-choices", "code-tiny-n4", NS, PROSE), minutes=2.5, seeds=3),
        Part(
            "word problems",
            "sums",
            by_n(
                "natural-language-sums",
                "code-tiny-n4",
                NS,
                {"data.sources": ["task:sums"], "data.align_documents": True, "model.context_length": 192, "steps": 800},
            ),
            minutes=3.0,
            seeds=3,
            run={"decode": "autoregressive", "limit": 200},
        ),
        Part(
            "summaries",
            "summaries",
            (*(tuned(n) for n in NS), *(pretrained(n) for n in NS)),
            minutes=3.5,
            seeds=3,
            run={"decode": "autoregressive", "limit": 100},
            package=PACKAGE,
        ),
    ),
    measures=(CHOICES, SOLVED, ROUGE_L, ROUGE_1, BITS),
    claims=(
        NoGain(
            text="in choices by likelihood n=2 is not ahead of n=1",
            source=FIGURE_5, measure=CHOICES, matters=3.0, paper="a curve: equal",
            candidate="natural-language-choices-n2", baseline="natural-language-choices-n1", learnt=35.0,
        ),
        Question(FIGURE_5, CHOICES, matters=3.0, rises=False, learnt=35.0, paper="a curve: behind").claim(
            "in choices by likelihood n=4 is behind n=1", "natural-language-choices-n4", "natural-language-choices-n1"
        ),
        *(
            SUMMARISES.claim(
                f"finetuned for summaries n={n} has a higher ROUGE-L F1 than n=1",
                f"natural-language-summaries-n{n}", "natural-language-summaries-n1",
                f"26.23 with n=1, +{gain} (mean of eight data sets, 200B tokens)",
            )
            for n, gain in ((2, 0.51), (4, 0.46))
        ),
        Question(FIGURE_S13, SOLVED, matters=5.0, rises=False, learnt=20.0, paper="a curve: worst").claim(
            "n=4 solves fewer word problems than n=1", "natural-language-sums-n4", "natural-language-sums-n1"
        ),
    ),
    minutes=20.0,
    means=(
        "The tasks have the form of the paper's, and text and models a ten-thousandth of their size: models of 0.8M parameters know words "
        "of this documentation, and next to nothing of what it says. Sums have few forms of words, so that they test arithmetic in "
        "steps and not reading. Every figure depends on the version of Python whose documentation it is; runs keep a hash of the text."
    ),
    figure=panels(
        "natural-language",
        "Choices right, word problems solved, ROUGE-L of summaries; points are seeds, bars 95 % intervals.",
        (CHOICES,),
        of_part={"word problems": (SOLVED,), "summaries": (ROUGE_L,)},
        x="",
    ),
)  # fmt: skip
