"""Verdicts on claims, by rules that were fixed before anything was trained.

reproduced      the paired t-test over seeds, corrected over the study's claims (Holm), has p <= 0.05, in the claimed direction
not reproduced  it has p <= 0.05 in the other direction; or the interval (Bonferroni over the claims) leaves no room for the
                smallest difference that would matter, in models of which at least one has learnt something, trained in full
undecided       everything else; the smallest difference that the test would have found is given
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mtp_eval.harness.studies.definition import LEAST_SEEDS, Claim, Results
from mtp_eval.results.scores.seed_pairs import SeedPairs, paired_over_seeds
from mtp_eval.results.scores.significance import holm

ALPHA = 0.05
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided at this size"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim.

    Args:
        pairs: None where its part was left out, or has fewer than three seeds.
        smallest_visible: the difference that the corrected test finds four times in five.
        reason: of the outcome, in half a sentence.
    """

    claim: Claim
    outcome: str
    reason: str
    baseline: float = float("nan")
    candidate: float = float("nan")
    pairs: SeedPairs | None = None
    p_holm: float = float("nan")
    smallest_visible: float = float("nan")

    def sentence(self) -> str:
        """The line that is printed."""
        text = f"{self.outcome}: {self.claim.text} ({self.claim.source})"
        if self.pairs is None:
            return f"{text} – {self.reason}"
        low, high = self.pairs.interval()
        shown = self.claim.measure.text
        return (
            f"{text} – {self.claim.measure.name}: {shown(self.baseline)} to {shown(self.candidate)}, difference "
            f"{shown(self.pairs.difference)} [{shown(low)}, {shown(high)}], {self.pairs.n_seeds} seeds, p = {self.p_holm:.2g} (Holm); "
            f"{self.reason}"
        )


def verdicts(results: Results, *, in_full: bool) -> list[Verdict]:
    """A verdict for every claim of the study.

    Args:
        in_full: whether models were trained as long as their recipes ask for.
    """
    compared = [(claim, _pairs(results, claim)) for claim in results.study.claims]
    tested = [pairs for _, pairs in compared if pairs is not None]
    adjusted = iter(holm([pairs.p_value for pairs in tested]))
    return [
        Verdict(claim, UNDECIDED, _why_untested(results, claim))
        if pairs is None
        else _judged(results, claim, pairs, next(adjusted), len(tested), in_full=in_full)
        for claim, pairs in compared
    ]


def _why_untested(results: Results, claim: Claim) -> str:
    there = [part.name for part in results.parts()]
    parts = dict.fromkeys(results.study.part_of(name).name for name in (claim.baseline, claim.candidate))
    if absent := [name for name in parts if name not in there]:
        return f"the budget did not reach {' and '.join(absent)}"
    return f"fewer than {LEAST_SEEDS} seeds have a value"


def _pairs(results: Results, claim: Claim) -> SeedPairs | None:
    """The paired comparison; None with fewer than three seeds."""
    of = claim.measure
    base, cand = (results.values(name, of) for name in (claim.baseline, claim.candidate))
    seeds = sorted(base.keys() & cand.keys())
    if len(seeds) < LEAST_SEEDS:
        return None
    cells = [results.of(name) for name in (claim.baseline, claim.candidate)]
    least = fmean(sum(of.variance(by_seed[seed]) for by_seed in cells) for seed in seeds)
    return paired_over_seeds([base[s] for s in seeds], [cand[s] for s in seeds], least)


def _judged(
    results: Results, claim: Claim, pairs: SeedPairs, p_holm: float, n_claims: int, *, in_full: bool
) -> Verdict:
    base, cand = (fmean(results.values(n, claim.measure).values()) for n in (claim.baseline, claim.candidate))
    matters = claim.matters * abs(base) if claim.relative else claim.matters
    outcome, reason = _outcome(claim, matters, pairs, p_holm, n_claims, best=max(base, cand), in_full=in_full)
    return Verdict(claim, outcome, reason, base, cand, pairs, p_holm, pairs.smallest_visible(ALPHA / n_claims))


def _outcome(
    claim: Claim, matters: float, pairs: SeedPairs, p_holm: float, n_claims: int, *, best: float, in_full: bool
) -> tuple[str, str]:
    sign = 1.0 if claim.rises else -1.0
    smallest = claim.measure.text(pairs.smallest_visible(ALPHA / n_claims))
    visible = f"a difference of {smallest} would have been found four times in five"
    if p_holm <= ALPHA:
        if sign * pairs.difference > 0:
            return REPRODUCED, visible
        return NOT_REPRODUCED, "the difference is the other way round"
    low, high = pairs.interval(1.0 - ALPHA / n_claims)
    most = high if claim.rises else -low
    if most >= matters:
        return UNDECIDED, visible
    if not in_full:
        return UNDECIDED, f"training was shortened, so that no difference says nothing; {visible}"
    if best < claim.learnt:
        return UNDECIDED, f"neither has learnt the task, so that no difference says nothing; {visible}"
    return NOT_REPRODUCED, f"a difference of {matters:g} or more is ruled out"


def summary(found: Sequence[Verdict]) -> str:
    """All verdicts, one a line."""
    return "\n".join(f"{number}. {verdict.sentence()}" for number, verdict in enumerate(found, start=1))
