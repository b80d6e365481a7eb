"""Coverage of intervals, false alarms and power of the paired tests, false alarms of the nightly gate, by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.study import save, study_parser
from mtp_eval.results.scores.estimators import FloatArray, pass_at_k
from mtp_eval.results.scores.intervals import effective_interval, mean_interval, nested_interval
from mtp_eval.results.scores.significance import difference_interval, holm, nested_difference, paired_p
from mtp_eval.results.scores.temperature import cross_validated

RESAMPLES = 1_000
FLIPS = 2_000


def beta_pass_at_k(a: float, b: float, k: int) -> float:
    """E[1 - (1 - p)^k] for p from Beta(a, b): the true score of the population of problems."""
    return 1.0 - math.exp(sum(math.log((b + i) / (a + b + i)) for i in range(k)))


def coverage(name: str, a: float, b: float, problems: int, samples: int, k: int, sets: int) -> dict[str, Any]:
    """How often 95 % intervals hold the true score of the population that the problems were drawn from, and their widths."""
    rng = np.random.default_rng([problems, samples, k, int(1000 * a)])
    truth = beta_pass_at_k(a, b, k)
    held: dict[str, int] = dict.fromkeys(METHODS, 0)
    widths: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    for _ in range(sets):
        scores = pass_at_k(samples, rng.binomial(samples, rng.beta(a, b, problems)), k)
        for method, interval_of in METHODS.items():
            low, high = interval_of(scores, rng)
            held[method] += low <= truth <= high
            widths[method] += high - low
    return {
        "study": name,
        "setting": f"{problems} problems, {samples} samples, pass@{k} = {100 * truth:.1f} %",
        **{f"{method}_percent": 100 * held[method] / sets for method in METHODS},
        **{f"{method}_width_points": 100 * widths[method] / sets for method in METHODS},
        "sets": sets,
    }


def ours(scores: FloatArray, _: np.random.Generator) -> tuple[float, float]:
    """The product's interval."""
    interval = mean_interval(scores)
    return interval.low, interval.high


def clopper_pearson(scores: FloatArray, _: np.random.Generator) -> tuple[float, float]:
    """The exact binomial interval, as if each problem had one sample."""
    interval = effective_interval(float(scores.mean()), scores.size, 0.95)
    return interval.low, interval.high


def wilson(scores: FloatArray, _: np.random.Generator) -> tuple[float, float]:
    """The score interval of a proportion, as if each problem had one sample."""
    n, p, z = scores.size, float(scores.mean()), 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2) / (1 + z * z / n)
    return middle - half, middle + half


def bootstrap(scores: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of the means of resampled problems."""
    means = scores[rng.integers(scores.size, size=(RESAMPLES, scores.size), dtype=np.int16)].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def bayes_bootstrap(scores: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of the means under Dirichlet weights of the problems (Rubin 1981); equal scores share one gamma weight."""
    values, counts = np.unique(scores, return_counts=True)
    weights = rng.standard_gamma(counts, (RESAMPLES, counts.size))
    low, high = np.quantile(weights @ values / weights.sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


METHODS: dict[str, Callable[[FloatArray, np.random.Generator], tuple[float, float]]] = {
    "ours": ours,
    "clopper_pearson": clopper_pearson,
    "wilson": wilson,
    "bootstrap": bootstrap,
    "bayes_bootstrap": bayes_bootstrap,
}


def nested_coverage(n_seeds: int, spread: float, sets: int) -> dict[str, Any]:
    """How often the interval of a recipe holds its expected score, over seeds that move every problem together."""
    rng = np.random.default_rng(n_seeds)
    problems, samples = 164, 20
    grid = np.linspace(-4.0, 4.0, 61)
    logits = rng.normal(-0.5, 2.0, 200_000)
    means = [(1 / (1 + np.exp(-(logits + spread * g)))).mean() for g in grid]
    truth = float(np.average(means, weights=np.exp(-0.5 * grid**2)))
    held, width = 0, 0.0
    for _ in range(sets):
        own = rng.normal(-0.5, 2.0, problems)
        chances = 1 / (1 + np.exp(-(own + rng.normal(0, spread, (n_seeds, 1)))))
        interval = nested_interval(rng.binomial(samples, chances) / samples)
        held += interval.low <= truth <= interval.high
        width += interval.high - interval.low
    return {
        "study": "seeds and problems",
        "setting": f"{n_seeds} seeds, logit spread {spread}, {problems} problems, {samples} samples, pass@1",
        "coverage_percent": 100 * held / sets,
        "width_points": 100 * width / sets,
        "data_sets": sets,
    }


def paired_test(name: str, samples: int, k: int, gain: float, pairs: int) -> dict[str, Any]:
    """Rejections at 5 % with no difference and with one; of the paired test, its interval, and the unpaired test."""
    rng = np.random.default_rng([samples, k])
    problems = 164
    counts = {"null": 0, "null_interval": 0, "power": 0, "power_unpaired": 0}
    for _ in range(pairs):
        p = rng.beta(0.4, 0.8, problems)
        q = np.minimum(1.0, p + gain)
        first, twin, better = (pass_at_k(samples, rng.binomial(samples, x), k) for x in (p, p, q))
        counts["null"] += paired_p(twin - first, FLIPS)[0] <= 0.05
        interval = difference_interval(twin - first)
        counts["null_interval"] += not interval.low <= 0 <= interval.high
        counts["power"] += paired_p(better - first, FLIPS)[0] <= 0.05
        spread = math.sqrt((better.var(ddof=1) + first.var(ddof=1)) / problems)
        counts["power_unpaired"] += abs(better.mean() - first.mean()) >= 1.96 * spread
    return {
        "study": name,
        "setting": f"{problems} problems, {samples} samples, pass@{k}; a gain of {100 * gain:g} points a problem",
        "false_alarms_percent": 100 * counts["null"] / pairs,
        "false_alarms_of_interval_percent": 100 * counts["null_interval"] / pairs,
        "power_percent": 100 * counts["power"] / pairs,
        "power_unpaired_percent": 100 * counts["power_unpaired"] / pairs,
        "pairs": pairs,
    }


def nested_test(n_seeds: int, spread: float, pairs: int) -> dict[str, Any]:
    """False alarms of the comparison of two recipes that are the same, each trained with several seeds."""
    rng = np.random.default_rng(100 + n_seeds)
    alarms = naive = 0
    for _ in range(pairs):
        own = rng.normal(-0.5, 2.0, 164)
        a, b = (rng.binomial(20, 1 / (1 + np.exp(-(own + rng.normal(0, spread, (n_seeds, 1)))))) / 20 for _ in range(2))
        alarms += nested_difference(a, b)[1] <= 0.05
        naive += paired_p(b.mean(axis=0) - a.mean(axis=0), FLIPS)[0] <= 0.05
    return {
        "study": "two equal recipes",
        "setting": f"{n_seeds} seeds each, logit spread {spread}",
        "false_alarms_percent": 100 * alarms / pairs,
        "false_alarms_without_seeds_percent": 100 * naive / pairs,
        "pairs": pairs,
    }


def nights(alpha: float, n_nights: int, samples: int) -> dict[str, Any]:
    """Nights of one unchanged model that the gate would fail: two tasks, two k, Holm-corrected, worse only."""
    rng = np.random.default_rng(samples)
    chances = [rng.beta(0.5, 0.8, size) for size in (164, 500)]
    ks = (1,) if samples == 1 else (1, 10)

    def one() -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        counts = [rng.binomial(samples, p) for p in chances]
        return [pass_at_k(samples, c, k) for c in counts for k in ks]

    before, alarms = one(), 0
    for _ in range(n_nights):
        tonight = one()
        differences = [now - then for now, then in zip(tonight, before, strict=True)]
        adjusted = holm([paired_p(d)[0] for d in differences])
        alarms += any(p <= alpha and d.mean() < 0 for p, d in zip(adjusted, differences, strict=True))
        before = tonight
    return {
        "study": "nightly gate, nothing changed",
        "setting": f"164 and 500 problems, {samples} samples, alpha {alpha:g}",
        "alarms": alarms,
        "nights": n_nights,
        "alarms_percent": 100 * alarms / n_nights,
    }


def temperatures(sets: int) -> dict[str, Any]:
    """How far the oracle temperature overstates a score when six temperatures are equally good."""
    rng = np.random.default_rng(6)
    oracle, honest = [], []
    for _ in range(sets):
        p = rng.beta(0.5, 0.5, 164)
        values_TP = rng.binomial(10, p, size=(6, 164)) / 10
        oracle.append(values_TP.mean(axis=1).max() - p.mean())
        honest.append(cross_validated(values_TP, halvings=20)[0].mean() - p.mean())
    return {
        "study": "choice of the temperature",
        "setting": "6 equally good temperatures, 164 problems, 10 samples",
        "oracle_bias_points": 100 * float(np.mean(oracle)),
        "cross_validated_bias_points": 100 * float(np.mean(honest)),
        "data_sets": sets,
    }


def studies(quick: bool) -> Iterator[dict[str, Any]]:
    """Every study, one after another; --quick uses a tenth of the data sets."""
    sets = 200 if quick else 2_000
    for k in (1, 10):
        yield coverage("interval", 0.3, 0.9, 164, 20, k, sets)
    for k in (1, 10):
        yield coverage("interval", 0.4, 0.6, 500, 20, k, sets)
    yield coverage("interval, one sample", 0.3, 0.9, 164, 1, 1, sets)
    yield coverage("interval, hardly anything solved", 0.02, 1.3, 164, 10, 1, sets)
    yield coverage("interval, hardly anything solved", 0.005, 1.0, 164, 1, 1, sets)
    yield paired_test("paired test (sign flip)", 10, 1, 0.03, sets)
    yield paired_test("paired test (sign flip)", 20, 10, 0.03, sets)
    yield paired_test("paired test (McNemar)", 1, 1, 0.1, sets)
    for alpha in (0.01, 0.05):
        for samples in (1, 10):
            yield nights(alpha, 200, samples)
    for study in (nested_coverage, nested_test):
        for spread in (0.0, 0.2, 0.5):
            for n_seeds in (2, 3, 5):
                yield study(n_seeds, spread, sets // 2)
    yield temperatures(sets // 4)


def main() -> None:
    """Print every figure as it comes; --json writes them."""
    parser = study_parser(__doc__, "a tenth of the data sets")
    options = parser.parse_args()
    found = []
    for row in studies(options.quick):
        facts = ", ".join(
            f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
            if key not in ("study", "setting")
        )
        print(f"{row['study']} ({row['setting']}): {facts}", flush=True)
        found.append(row)
        save(options.json, found)


if __name__ == "__main__":
    main()
