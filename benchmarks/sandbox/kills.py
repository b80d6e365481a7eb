"""Kill workers, zygotes and programs at random under `mtp-eval score`, run it again, and compare with an undisturbed run.

The verdicts must be the same, and none of them an infrastructure error.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.study import save, study_parser

TIMEOUT_SECONDS = 0.5
ENDLESS = "def f():\n    while True: pass\n"
SAMPLES_PER_PROBLEM = 10
Verdicts = dict[tuple[str, int], str]


def write_files(folder: Path, n_programs: int) -> None:
    """Problems with ten programs each: right and wrong ones, and some that run into their limit."""
    problems, samples = [], []
    for number in range(n_programs // SAMPLES_PER_PROBLEM):
        name = f"Kills/{number}"
        problem = {
            "task_id": name,
            "prompt": "# -\n",
            "entry_point": "f",
            "canonical_solution": f"def f(): return {number}\n",
        }
        problems.append(problem | {"test": f"def check(candidate):\n    assert candidate() == {number}\n"})
        for sample in range(SAMPLES_PER_PROBLEM):
            count = number * SAMPLES_PER_PROBLEM + sample
            source = f"def f(): return {number if count % 5 else -1}  # {count}\n" + ENDLESS * (count % 97 == 0)
            samples.append({"task_id": name, "completion": source})
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems))
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))


def command(folder: Path, out: str) -> list[str]:
    """`mtp-eval score` on these files; its options are the usual ones."""
    files = [str(folder / "samples.jsonl"), "--task", "humaneval", "--problem-file", str(folder / "problems.jsonl")]
    options = ["--k", "1", "--workers", "2", "--timeout", str(TIMEOUT_SECONDS), "--out", str(folder / out)]
    return [sys.executable, "-m", "mtp_eval.harness", "score", *files, *options]


def verdicts(folder: Path, out: str) -> Verdicts:
    """The last verdict on each program in a run's journal."""
    journal = folder / out / "records.jsonl"  # none yet where every worker was killed while it started
    rows = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    return {(row["problem_id"], row["sample"]): row["verdict"] for row in rows}


def processes(pid: int) -> Iterator[int]:
    """Workers, zygotes (starting ones, too) and programs below a process."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            try:
                line = Path(f"/proc/{child}/cmdline").read_text()
            except OSError:
                continue
            if "multiprocess.spawn" in line or "jailed.zygote" in line:
                yield child
            yield from processes(child)


class Killer(threading.Thread):
    """Sends SIGKILL to one of the processes below another, again and again."""

    def __init__(self, pid: int, kills: int, seconds_between: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.kills, self.seconds_between = pid, kills, seconds_between
        self.random = random.Random(seed)
        self.n_killed = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while self.n_killed < self.kills and not self.stop.wait(self.seconds_between):
            if found := list(processes(self.pid)):
                try:
                    os.kill(self.random.choice(found), signal.SIGKILL)
                    self.n_killed += 1
                except ProcessLookupError:
                    pass


def run_disturbed(call: list[str], kills: int, seconds_between: float, seed: int) -> tuple[int, int]:
    """Run a command while its processes are killed; its exit code, and how many were killed."""
    started = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    killer = Killer(started.pid, kills, seconds_between, seed)
    killer.start()
    code = started.wait()
    killer.stop.set()
    killer.join()
    return code, killer.n_killed


def main() -> None:
    parser = study_parser(__doc__, "300 programs, 15 kills")
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds-between", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    n, kills = (300, 15) if options.quick else (options.programs, options.kills)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, n)
        subprocess.run(command(folder, "undisturbed"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected = verdicts(folder, "undisturbed")
        call = command(folder, "disturbed")
        first_code, n_killed = run_disturbed(call, kills, options.seconds_between, options.seed)
        between = Counter(verdicts(folder, "disturbed").values())
        again = subprocess.run(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        got = verdicts(folder, "disturbed")
    wrong = {key: (expected[key], got.get(key, "lost")) for key in expected if expected[key] != got.get(key)}
    figures = {
        "programs": len(expected),
        "kills": n_killed,
        "exit_codes": [first_code, again.returncode],
        "infrastructure_errors_after_the_first_call": between["infrastructure_error"],
        "infrastructure_errors": Counter(got.values())["infrastructure_error"],
        "other_verdicts": len(wrong),
        "verdicts": dict(Counter(expected.values())),
        "seconds": round(time.perf_counter() - started, 1),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    for key, pair in wrong.items():
        print(f"  {key}: {pair[0]} undisturbed, then {pair[1]}")
    save(options.json, figures)
    if again.returncode:
        print(again.stderr[-1000:], file=sys.stderr)
    sys.exit(bool(wrong or again.returncode or figures["infrastructure_errors"]))


if __name__ == "__main__":
    main()
