"""Time and memory from 500 problems x 1,000 samples to a table with intervals, and to a report."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.study import save, study_parser
from mtp_eval.results.compare.comparison import compare_runs
from mtp_eval.results.finish import finish
from mtp_eval.results.record import Record
from mtp_eval.results.run import read_run
from mtp_eval.results.scores.estimators import pass_at_k
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.problem import Completion

KS = (1, 10, 100)


class Clock:
    """Wall and CPU seconds of a step."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def lap(self, step: str) -> None:
        """Note a step and start the next."""
        wall, cpu = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row = {"step": step, "wall_seconds": wall - self.wall, "cpu_seconds": cpu - self.cpu, "peak_mib": peak}
        self.rows.append(row)
        print(f"{step}: {row['wall_seconds']:.2f} s wall, {row['cpu_seconds']:.2f} s CPU, peak so far {peak:,.0f} MiB")
        self.wall, self.cpu = time.perf_counter(), time.process_time()


def measure(n_problems: int, n_samples: int) -> list[dict[str, Any]]:
    """Every step once; verdicts are random with chances from Beta(0.3, 0.7)."""
    rng = np.random.default_rng(0)
    chances = rng.beta(0.3, 0.7, n_problems)
    rows: list[dict[str, Any]] = []
    counts = rng.binomial(n_samples, chances)
    clock = Clock(rows)
    ks = [k for k in KS if k <= n_samples]
    scores_PK = np.stack([pass_at_k(n_samples, counts, k) for k in ks], axis=1)
    for column in range(len(ks)):
        mean_interval(scores_PK[:, column])
    clock.lap(f"pass@{'/'.join(map(str, ks))} with intervals, from counts")
    header = {
        "schema_version": 1,
        "config": {"n_samples": n_samples, "k": ks, "temperature": 0.8, "top_p": 0.95},
        "config_sha256": "0" * 64,
        "tasks": {"toy": {"protocol": "toy@1", "data_sha256": "0" * 64, "n_problems": n_problems, "report_by": None}},
        "models": {"n1": {}},
    }
    with tempfile.TemporaryDirectory() as place:
        with RunStore.open(Path(place) / "run", header) as store:
            for i, p in enumerate(chances):
                passed = rng.random(n_samples) < p
                store.append(
                    [
                        Record("n1", "toy", "0" * 64, Completion(f"toy/{i}", s, f"    return {s}\n", stop_reason="eos"),
                               f"def f():\n    return {s}\n", Outcome(Verdict.PASSED if ok else Verdict.FAILED))
                        for s, ok in enumerate(passed)
                    ]
                )  # fmt: skip
        clock.lap(f"append {n_problems * n_samples:,} records, one fsync per problem")
        run = read_run(Path(place) / "run")
        clock.lap("read and count the journal")
        with RunStore.open(Path(place) / "run", header) as writing:
            finish(writing, ks, {})
        clock.lap("metrics.json, table.md, table.csv from the journal")
        compare_runs(run, run, ks)
        clock.lap("paired comparison with itself")
    return rows


def main() -> None:
    """Print every step; --json writes them."""
    parser = study_parser(__doc__, "100 samples instead of 1,000")
    options = parser.parse_args()
    rows = measure(500, 100 if options.quick else 1_000)
    save(options.json, rows)


if __name__ == "__main__":
    main()
