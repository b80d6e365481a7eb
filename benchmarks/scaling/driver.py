"""Cost of a completion for the process that writes the journal, and of merging: the limits of one driver.

An executor that answers at once stands for any number of machines. CPU seconds of this process count.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Hashable, Iterator
from pathlib import Path

from benchmarks.study import save, study_parser
from mtp_eval.harness.evaluation.judging import Candidate, Judge
from mtp_eval.harness.progress import progress
from mtp_eval.results.journal import JOURNAL_FILE
from mtp_eval.results.merge import merge, read_shards
from mtp_eval.results.provenance import run_header
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox import Executor, Outcome, Program, Verdict
from mtp_eval.tasks.problem import Completion
from mtp_eval.tasks.registry import load_task

READY_AFTER = 64
"""Outcomes that come together, as from a node."""


class AtOnce(Executor):
    """Passes everything without running it."""

    isolation = "none"

    def __init__(self) -> None:
        self._finished: list[tuple[Hashable, Outcome]] = []

    def submit(self, program: Program, tag: Hashable) -> None:
        self._finished.append(
            (tag, Outcome(Verdict.PASSED, wall_seconds=0.002, cpu_seconds=0.002, peak_bytes=14_000_000))
        )

    def ready(self) -> list[tuple[Hashable, Outcome]]:
        return self._take() if len(self._finished) >= READY_AFTER else []

    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        yield from self._take()

    def _take(self) -> list[tuple[Hashable, Outcome]]:
        finished, self._finished = self._finished, []
        return finished


def write_shard(folder: Path, index: int, of: int, n_samples: int) -> float:
    """A shard of a run on HumanEval in which every completion is the reference; CPU seconds for it."""
    task = load_task("humaneval")
    problems = [problem for number, problem in enumerate(task.problems()) if number % of == index]
    facts = {"protocol": task.protocol, "data_sha256": task.data_sha256, "n_problems": len(task.problems())}
    shard = {"index": index + 1, "of": of, "n_completions": {"m": {"humaneval": len(problems) * n_samples}}}
    config = {"temperature": 0.8, "k": [1], "n_samples": n_samples}
    header = run_header(config, {"m": {"sha256": None}}, {"humaneval": facts}, {"name": "full"}, shard)
    with RunStore.open(folder, header) as store, progress("written", len(problems) * n_samples) as shown:
        judge, started = Judge(AtOnce(), store, shown), time.process_time()
        for problem in problems:
            for sample in range(n_samples):
                text = f"{problem.reference}# {sample}\n"
                completion = Completion(
                    problem.problem_id, sample, text, 80, 40, "stop", (40, 40), (20, 20), 0.2, 0.2, 130
                )
                judge.submit(Candidate("m", "humaneval", problem, completion, task.judge(problem, text), 0.8))
        judge.finish()
        return time.process_time() - started


def main() -> None:
    parser = study_parser(__doc__, "10 samples a problem")
    parser.add_argument("--samples", type=int, default=200, help="of each of HumanEval's problems")
    options = parser.parse_args()
    n_samples = 10 if options.quick else options.samples
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / str(index) for index in range(4)]
        writing = sum(write_shard(folder, index, 4, n_samples) for index, folder in enumerate(folders))
        n_bytes = sum((folder / JOURNAL_FILE).stat().st_size for folder in folders)
        started = time.process_time()
        run = merge(read_shards(folders), Path(place) / "merged")
        merging = time.process_time() - started
        n = sum(cell.n_completions for cell in run.cells)
    found = {"records": n, "bytes": n_bytes / n, "writing_us": 1e6 * writing / n, "merging_us": 1e6 * merging / n}
    print(
        f"{n:,} records of {found['bytes']:,.0f} bytes: {found['writing_us']:.0f} us CPU each to judge and journal, "
        f"{found['merging_us']:.0f} us each to merge and score",
        file=sys.stdout,
    )
    save(options.json, found)


if __name__ == "__main__":
    main()
