"""Time saved by running each distinct program once, on a published samples file: 3,224 rows, 2,666 distinct programs."""

from __future__ import annotations

import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.sandbox.agreement import human_eval
from benchmarks.study import save, study_parser
from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.problem import Program


def run(programs: list[Program]) -> dict[str, float]:
    before, started = _cpu_seconds(), time.perf_counter()
    with Pool(workers=2) as pool:
        passed = sum(outcome.passed for outcome in pool.run(programs))
    wall = time.perf_counter() - started
    return {"wall": wall, "cpu": _cpu_seconds() - before, "passed": passed, "rows_per_second": len(programs) / wall}


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    parser = study_parser(__doc__, "the first 600 rows, one round")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with verdicts/")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = [program for program, _, _ in human_eval(options.data)][: 600 if options.quick else None]
    distinct = len({(program.source, program.tests) for program in rows})
    apart = [replace(program, source=f"{program.source}\n# {number}") for number, program in enumerate(rows)]
    ways = {"each distinct program once": rows, "every row": apart}
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(1 if options.quick else options.rounds):
        for name, programs in ways.items():
            measured[name].append(run(programs))
    print(f"{len(rows)} rows, {distinct} distinct programs, 2 workers, median of {len(measured['every row'])} rounds")
    for name, runs in measured.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(f"{name}: {middle['wall']:.1f} s, CPU {middle['cpu']:.1f} s, {middle['passed']:.0f} passed")
    save(options.json, {"rows": len(rows), "distinct": distinct, "measured": measured})


if __name__ == "__main__":
    main()
