"""False alarms of the drift test, and nights until it finds a loss, over simulated years.

    python -m benchmarks.results.drift [--quick] [--json FILE]

500 problems with chances as small code models have them (Beta), 10 samples each, one series, the same model every night; then
the same with a loss of 1, 2 and 5 points, at once and slowly (46.0 to 38.7 points over 56 nights), after 30 good nights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.study import save, study_parser
from mtp_eval.results.compare.drift import each_night

PROBLEMS, SAMPLES, NIGHTS = 500, 10, 365


def nights(rng: np.random.Generator, losses: np.ndarray, wander: float = 0.0) -> tuple[list[float], list[float]]:
    """Scores and sampling noise of nights on which the model has lost so many points."""
    chances = rng.beta(0.46, 0.54, PROBLEMS)
    scores, sds = [], []
    for loss in losses + wander * rng.standard_normal(losses.size):
        lowered = np.clip(chances * (1.0 - loss / (100.0 * chances.mean())), 0.0, 1.0)
        share = rng.binomial(SAMPLES, lowered) / SAMPLES
        scores.append(float(share.mean()))
        sds.append(float(np.sqrt((share * (1.0 - share) / (SAMPLES - 1)).sum()) / PROBLEMS))
    return scores, sds


def first_alarm(scores: list[float], sds: list[float]) -> int | None:
    """The night of the first alarm, counted from 1, or None."""
    return next((night for night, found in enumerate(each_night(scores, sds), start=1) if found), None)


def years(count: int, wander: float, seed: int) -> int:
    """False alarms in so many years without any loss."""
    rng = np.random.default_rng(seed)
    return sum(first_alarm(*nights(rng, np.zeros(NIGHTS), wander)) is not None for _ in range(count))


def delays(count: int, losses: np.ndarray, good: int, seed: int) -> Iterator[float]:
    """Nights from the first lower one to the alarm; infinite where there was none."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        found = first_alarm(*nights(rng, np.concatenate([np.zeros(good), losses])))
        yield np.inf if found is None else found - good


def main() -> None:
    """Print false alarms and delays."""
    options = study_parser(__doc__, "10 years and 10 series instead of 200 and 100").parse_args()
    figures: dict[str, list[float]] = {}
    n_years, n_series = (10, 10) if options.quick else (200, 100)
    for wander in (0.0, 0.5):
        found = years(n_years, wander, seed=1)
        name = f"no loss, checkpoints that differ by {wander:g} points in truth"
        figures[name] = [found, n_years]
        print(f"{name}: {found} false alarms in {n_years} years")
    cases = {f"a loss of {loss} points at once": (np.full(60, float(loss)), 30) for loss in (1, 2, 5)}
    cases["46.0 to 38.7 over 56 nights, from the first night"] = (np.linspace(0.0, 7.3, 56), 0)
    for name, (losses, good) in cases.items():
        found_after = np.array(list(delays(n_series, losses, good, seed=2)))
        shares = np.quantile(found_after, [0.5, 0.9, 1.0], method="higher")
        figures[name] = shares.tolist()
        print(f"{name}: found after {shares[0]:g} nights (median), {shares[1]:g} (9 of 10), {shares[2]:g} (at most)")
    save(options.json, figures)


if __name__ == "__main__":
    main()
