"""Verdicts on claims, each by the rule of its kind (`claims`), corrected over the study's claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtp_eval.harness.studies.claims import ALPHA, UNDECIDED
from mtp_eval.harness.studies.definition import LEAST_SEEDS, Claim, Results
from mtp_eval.results.scores.seed_pairs import SeedPairs
from mtp_eval.results.scores.significance import holm


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim.

    Args:
        outcome: one of `claims`'s three.
        reason: of the outcome, in half a sentence.
        means: the value that was compared with, and the value that was compared.
        pairs: None where its part was left out, or has fewer than three seeds.
        smallest_visible: the difference that the corrected test finds four times in five.
    """

    claim: Claim
    outcome: str
    reason: str
    means: tuple[float, float] = (float("nan"), float("nan"))
    pairs: SeedPairs | None = None
    p_holm: float = float("nan")
    smallest_visible: float = float("nan")

    def sentence(self) -> str:
        """The line that is printed."""
        text = f"{self.outcome}: {self.claim.text} ({self.claim.source})"
        if self.pairs is None:
            return f"{text} – {self.reason}"
        return (
            f"{text} – {self.claim.measure.name}: {self.claim.compared(self.means)}, difference {self.difference()}, "
            f"{self.pairs.n_seeds} seeds, p = {self.p_holm:.2g} (Holm); {self.reason}"
        )

    def difference(self) -> str:
        """The difference with its 95 % interval."""
        assert self.pairs is not None
        shown = self.claim.measure.text
        low, high = self.pairs.interval()
        return f"{shown(self.pairs.difference)} [{shown(low)}, {shown(high)}]"


def verdicts(results: Results, *, in_full: bool) -> list[Verdict]:
    """A verdict for every claim of the study.

    Args:
        in_full: whether models were trained as long as their recipes ask for.
    """
    compared = [(claim, claim.pairs(results)) for claim in results.study.claims]
    tested = [claim.p_value(pairs) for claim, pairs in compared if pairs is not None]
    adjusted = iter(holm(tested))
    return [
        Verdict(claim, UNDECIDED, _why_untested(results, claim))
        if pairs is None
        else _judged(results, claim, pairs, next(adjusted), len(tested), in_full=in_full)
        for claim, pairs in compared
    ]


def _why_untested(results: Results, claim: Claim) -> str:
    there = [part.name for part in results.parts()]
    parts = dict.fromkeys(results.study.part_of(name).name for name in claim.recipes)
    if absent := [name for name in parts if name not in there]:
        return f"the budget did not reach {' and '.join(absent)}"
    return f"fewer than {LEAST_SEEDS} seeds have a value"


def _judged(
    results: Results, claim: Claim, pairs: SeedPairs, p_holm: float, n_claims: int, *, in_full: bool
) -> Verdict:
    means = claim.means(results)
    outcome, reason = claim.outcome(pairs, means, p_holm, n_claims, in_full=in_full)
    return Verdict(claim, outcome, reason, means, pairs, p_holm, claim.smallest_visible(pairs, ALPHA / n_claims))


def summary(found: Sequence[Verdict]) -> str:
    """All verdicts, one a line."""
    return "\n".join(f"{number}. {verdict.sentence()}" for number, verdict in enumerate(found, start=1))
