"""Many programs through one pool: memory, descriptors, processes and temporary files must not grow, nothing be lost."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.study import save, study_parser
from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.problem import Program

KINDS = (
    ("def f(): return {n}", "passed"),
    ("def f(): return -1 - {n}", "failed"),
    ("def f(): raise ValueError({n})", "error"),
    ("import os  # {n}\nos._exit(0)", "exited_early"),
    ("open('f{n}', 'w').write('x' * 1000)\ndef f(): return {n}", "passed"),
)


def family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def measure(done: int, started: float) -> dict[str, float]:
    pss = processes = 0
    for pid in family(os.getpid()):
        try:
            rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        pss += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
        processes += 1
    return {
        "programs": done,
        "seconds": round(time.monotonic() - started, 1),
        "own_rss_mb": int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024,
        "tree_pss_mb": pss // 1024,
        "processes": processes,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "temporary_files": len(os.listdir(tempfile.gettempdir())),
    }


def main() -> None:
    parser = study_parser(__doc__, "2,000 programs")
    parser.add_argument("--programs", type=int, default=100_000)
    options = parser.parse_args()
    total = 2_000 if options.quick else options.programs
    marks = sorted({total // 10, total // 4, total // 2, 3 * total // 4, total})
    started, counts, wrong, figures = time.monotonic(), Counter[str](), 0, []
    with Pool(workers=2) as pool:

        def programs() -> Iterator[Program]:
            for n in range(total):
                yield Program("p", KINDS[n % len(KINDS)][0].format(n=n), f"assert f() == {n}")

        for n, outcome in enumerate(pool.run(programs()), 1):
            counts[outcome.verdict] += 1
            wrong += outcome.verdict != KINDS[(n - 1) % len(KINDS)][1]
            if n in marks:
                figures.append(measure(n, started))
                print(json.dumps(figures[-1]), flush=True)
    print(f"verdicts {dict(counts)}; wrong {wrong}; lost {total - counts.total()}")
    save(options.json, {"figures": figures, "verdicts": counts, "wrong": wrong})


if __name__ == "__main__":
    main()
