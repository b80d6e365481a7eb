"""Claims of the paper and of its announcement that no study here tests, each with the reason; those with a study stand in that study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Untested:
    """A claim without a study.

    Args:
        text: the claim in our words.
        source: section, table or figure.
        paper: the figure that the source gives.
        why: what a test would need, or where its figures are.
    """

    text: str
    source: str
    paper: str
    why: str


SCALE = "needs models of billions of parameters and hundreds of billions of tokens"

UNTESTED: tuple[Untested, ...] = (
    Untested(
        "at 13B parameters n=4 solves more problems of HumanEval and MBPP than n=1",
        "arXiv 2404.19737, abstract and Table S7",
        "HumanEval 14.1 to 15.8 (12 %), MBPP 26.0 to 30.5 (17 %)",
        f"{SCALE}; `code-scaling` tests the small end, where the paper finds the opposite",
    ),
    Untested(
        "gains grow with the size of the model: n=4 overtakes n=1 between 0.6B and 3B parameters",
        "arXiv 2404.19737, section 3.1 and Figure 3",
        "MBPP pass@1, n=4 against n=1: -0.8 at 0.3B, +4.5 at 13B",
        SCALE,
    ),
    Untested(
        "with 32,000 tokens n=4 is best for code, with n=6 ahead on APPS",
        "arXiv 2404.19737, section 3.4 and Table 1",
        "MBPP 30.0, 30.3, 33.8, 31.9, 30.7 with n = 1, 2, 4, 6, 8",
        f"{SCALE}; `best-n` looks for the best n of small models",
    ),
    Untested(
        "with more passes over the same data the gains shrink",
        "arXiv 2404.19737, section 3.5",
        "MBPP +3.8 after 0.8 epochs, +2.4 after 4",
        SCALE,
    ),
    Untested(
        "peak memory does not grow with n: O(V + d) in place of O(nV + d)",
        "arXiv 2404.19737, section 2",
        "",
        "an identity of the implementation, measured in docs/benchmarks/training.md and not a matter of trained models",
    ),
    Untested(
        "pause tokens do not widen the gain of n>1 on polynomial arithmetic",
        "arXiv 2404.19737, Figure S14",
        "a curve",
        "`poly@f7x5-pause5` and `-pause10` are there, a study of them is not",
    ),
    Untested(
        "on polynomial arithmetic three times the size helps less than n>1",
        "arXiv 2404.19737, Figure S16",
        "a curve, 30M and 100M parameters",
        "a study of it is not there yet",
    ),
    Untested(
        "with nine tenths of better text the advantage of n=2 in induction is left at 1M and 3M parameters only",
        "arXiv 2404.19737, appendix J and Figure S14",
        "a curve",
        "a study of it is not there yet",
    ),
)
