"""`vocabulary`: is the best vocabulary for n=4 another one than for n=1?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtp_eval.harness.studies.claims import Comparison
from mtp_eval.harness.studies.definition import Measure, Part, Recipe, Results, Study
from mtp_eval.harness.studies.figures import lines_of_recipes
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at, tokens_per_forward
from mtp_eval.harness.training.config_files import preset
from mtp_eval.harness.training.matching import training_flops
from mtp_eval.results.report.figure import Plot, finish, legend, make_panels

PASS_1, PASS_10, BITS, TOKENS = pass_at(1), pass_at(10), bits_per_byte(), tokens_per_forward()
OPEN = "arXiv 2404.19737, section 7: the best vocabulary for n>1 may be another one than for n=1"
NS = (1, 2, 4)
BYTES = "bytes"
BYTE_IDS = 264
"""Of the byte tokenizer: 256, and marks."""


@dataclass(frozen=True)
class Corpus:
    """A text with its vocabularies.

    Args:
        preset, changes: what is trained.
        task: on which models are tested.
        bytes_per_token: of each vocabulary on this text, about; measured once with Python 3.11, and fixed here so that a plan is the same
            everywhere.
        run: options of the run.
        measure: by which vocabularies are compared.
        matters: the smallest interaction that would count.
        grows: whether the interaction should be above 0; else below.
    """

    preset: str
    task: str
    changes: Mapping[str, Any]
    bytes_per_token: Mapping[str, float]
    run: Mapping[str, Any]
    measure: Measure
    matters: float
    grows: bool
    minutes: float = 1.0


SAMPLED = {"n_samples": 10, "temperature": 0.4, "k": (1, 10)}
CORPORA: Mapping[str, Corpus] = {
    "code": Corpus(
        "code-tiny-n4",
        "humaneval",
        {"model.d_model": 64, "steps": 400},
        {BYTES: 1.0, "bpe:512": 2.1, "bpe:2048": 3.1, "bpe:16384": 4.0},
        {"limit": 10, "max_new_tokens": 24},
        BITS,
        matters=0.02,
        grows=True,
    ),
    "listops": Corpus(
        "listops-n4",
        "listops",
        {"model.d_model": 64},
        {BYTES: 1.0, "bpe:300": 1.8, "bpe:400": 2.0},
        {"limit": 60, **SAMPLED},
        PASS_1,
        matters=5.0,
        grows=False,
        minutes=1.5,
    ),
}


def at_equal_bytes(corpus: Corpus, tokenizer: str, n: int) -> float:
    """Times the preset's steps, so that as much text is seen as with bytes."""
    return 1.0 / corpus.bytes_per_token[tokenizer]


def at_equal_compute(corpus: Corpus, tokenizer: str, n: int) -> float:
    """Times the preset's steps, so that training takes the FLOPs of n=1 with bytes."""
    shapes = [
        preset(corpus.preset, [f"model.d_model={corpus.changes['model.d_model']}", f"model.n_future={k}"])
        for k in (1, n)
    ]
    size = int(tokenizer.partition(":")[2] or BYTE_IDS)
    return training_flops(shapes[0].model, BYTE_IDS) / training_flops(shapes[1].model, size)


BUDGETS: Mapping[str, Callable[[Corpus, str, int], float]] = {
    "equal compute": at_equal_compute,
    "equal bytes": at_equal_bytes,
}


def name_of(text: str, budget: str, tokenizer: str, n: int) -> str:
    """The name of a recipe."""
    return f"vocabulary-{text}-{budget.replace(' ', '-')}-{tokenizer.replace(':', '')}-n{n}"


def part(text: str, budget: str) -> Part:
    """One text with every vocabulary and n, under one budget."""
    corpus = CORPORA[text]
    recipes = tuple(
        Recipe(
            name_of(text, budget, tokenizer, n),
            f"{tokenizer}, n={n}",
            corpus.preset,
            {**corpus.changes, "data.tokenizer": tokenizer, "model.n_future": n},
            round(BUDGETS[budget](corpus, tokenizer, n), 4),
            run={"decode": "autoregressive" if n == 1 else "self-speculative"},
        )
        for tokenizer in corpus.bytes_per_token
        for n in NS
    )
    return Part(f"{text}, {budget}", corpus.task, recipes, minutes=corpus.minutes, seeds=3, run=corpus.run)


def claims() -> Iterator[Comparison]:
    """On every part that the step from bytes to the largest vocabulary costs n=4 more than n=1: the interaction of both."""
    for budget in BUDGETS:
        for text, corpus in CORPORA.items():
            largest = list(corpus.bytes_per_token)[-1]
            yield Comparison(
                text=f"on {text} at {budget}, {largest} in the place of bytes costs n=4 more, or gains it less, than n=1",
                source=OPEN,
                measure=corpus.measure,
                matters=corpus.matters,
                rises=corpus.grows,
                paper="Table 1: bytes gain more from n>1 than 32,000 pieces do" if text == "code" else "",
                candidate=name_of(text, budget, largest, 4),
                candidate_from=name_of(text, budget, BYTES, 4),
                baseline=name_of(text, budget, largest, 1),
                baseline_from=name_of(text, budget, BYTES, 1),
            )


def figure(results: Results) -> Plot:
    """The measure by which vocabularies are compared against their size, a line for each n, a panel for each part."""
    parts = results.parts()
    figure, axes = make_panels(len(parts), height=3.4)
    for ax, one in zip(axes, parts, strict=True):
        corpus = CORPORA[one.name.partition(",")[0]]
        groups: dict[str, Sequence[Recipe]] = {f"n={n}": one.recipes[place :: len(NS)] for place, n in enumerate(NS)}
        lines_of_recipes(ax, results, groups, corpus.measure)
        ax.set_xticks(range(len(corpus.bytes_per_token)), list(corpus.bytes_per_token))
        finish(ax, one.name, "vocabulary", corpus.measure.name)
    legend(figure)
    caption = "By vocabulary and n: bits per byte of held-out code, programs of list operations right; bars are 95 % intervals."
    return Plot("vocabulary", caption, figure)


STUDY = Study(
    name="vocabulary",
    asks="is the best vocabulary for n=4 another one than for n=1?",
    paper=(
        "Left open (section 7): the best size of a vocabulary may be another one for n>1, with which sequences and so the cost of "
        "inference change. Table 1 has n=8 best with bytes (MBPP 19.3 to 32.3) and n=4 with 32,000 pieces (30.0 to 33.8). Here: bytes "
        "and byte pairs of 512 to 16,384, n = 1, 2, 4, once with equal FLOPs and once with equal bytes of text."
    ),
    parts=tuple(part(text, budget) for budget in BUDGETS for text in CORPORA),
    measures=(BITS, PASS_1, PASS_10, TOKENS),
    claims=tuple(claims()),
    minutes=20.0,
    means=(
        "The test is of an interaction: whether a larger vocabulary changes n=4 otherwise than n=1; which vocabulary is best for each "
        "is then seen in the table. Bits per byte can be compared between vocabularies, tokens for each forward cannot, as a piece "
        "stands for more bytes. A model of this size spends most of its FLOPs on the unembedding of 16,384 pieces, and with n=4 "
        "four times as many; the paper's do not."
    ),
    figure=figure,
)
