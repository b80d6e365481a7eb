"""Workers, zygotes and programs killed at random while a pool works: every verdict must be that of an undisturbed pool."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.study import save, study_parser
from mtp_eval.sandbox import Pool, Program


def programs(n: int) -> list[Program]:
    """Right and wrong ones, and some that run into their limit."""
    sources = [f"def f(): return {i if i % 5 else -1}\n" + ENDLESS * (i % 97 == 0) for i in range(n)]
    return [Program(f"p{i}", source, f"assert f() == {i}", timeout_seconds=0.5) for i, source in enumerate(sources)]


ENDLESS = "def f():\n    while True: pass\n"


def processes(pid: int) -> Iterator[int]:
    """Workers, zygotes (starting ones, too) and programs below a process."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            try:
                command = Path(f"/proc/{child}/cmdline").read_text()
            except OSError:
                continue
            if "multiprocess.spawn" in command or "jailed.zygote" in command:
                yield child
            yield from processes(child)


class Killer(threading.Thread):
    """Sends SIGKILL to one of the pool's processes, again and again."""

    def __init__(self, kills: int, seconds_between: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.kills, self.seconds_between, self.random = kills, seconds_between, random.Random(seed)
        self.n_killed = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while self.n_killed < self.kills and not self.stop.wait(self.seconds_between):
            if found := list(processes(os.getpid())):
                try:
                    os.kill(self.random.choice(found), signal.SIGKILL)
                    self.n_killed += 1
                except ProcessLookupError:
                    pass


def main() -> None:
    parser = study_parser(__doc__, "300 programs, 15 kills")
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds-between", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    n, kills = (300, 15) if options.quick else (options.programs, options.kills)
    with Pool(workers=2) as pool:
        expected = [outcome.verdict for outcome in pool.run(programs(n))]
    started = time.perf_counter()
    with Pool(workers=2) as pool:
        killer = Killer(kills, options.seconds_between, options.seed)
        killer.start()
        outcomes = list(pool.run(programs(n)))
        killer.stop.set()
        killer.join()
    wrong = [(i, *pair) for i, pair in enumerate(zip(expected, outcomes, strict=True)) if pair[0] != pair[1].verdict]
    broken = sum(outcome.verdict == "infrastructure_error" for outcome in outcomes)
    seconds = time.perf_counter() - started
    print(
        f"{n} programs, {killer.n_killed} kills in {seconds:.1f} s: {len(wrong)} other verdicts, {broken} infrastructure errors"
    )
    save(
        options.json,
        {"programs": n, "kills": killer.n_killed, "other_verdicts": len(wrong), "infrastructure_errors": broken},
    )
    for number, verdict, outcome in wrong:
        print(f"  {number}: {verdict} undisturbed, {outcome.verdict} {outcome.error}")


if __name__ == "__main__":
    main()
