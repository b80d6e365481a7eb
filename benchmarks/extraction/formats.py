"""Known programs in every form of samples file that is read: the same verdicts and metrics through each?

    python -m benchmarks.extraction.formats --verdicts ../shared/data/verdicts

Every distinct program of the folder's two files (HumanEval's and MBPP's) is written in each form by `benchmarks.extraction.written`,
and `mtp-eval score` judges each file; last, the run folders themselves, by their own rule and by another one. Compared are
the verdicts of all completions and the cells of metrics.json with the first form's. Where a problem's tests draw their inputs, a
wrong program may raise at one time and fail at another: such differences are listed apart, and verdicts are not counted there.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.extraction.written import FORMS, Form, Known
from benchmarks.study import save, study_parser

FIRST = "evalplus"
N_QUICK = 60


@dataclass(frozen=True, slots=True)
class Scored:
    """What a run of `mtp-eval score` says: verdicts by problem and sample, the cells of metrics.json, and its seconds."""

    verdicts: dict[tuple[str, int], str]
    cells: list[dict[str, Any]]
    seconds: float


def read(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def humaneval(folder: Path, n: int | None) -> Known:
    from mtp_eval.tasks.registry import load_task

    prompts = {problem.problem_id: problem.prompt for problem in load_task("humaneval").problems()}
    pairs = [
        (row["task_id"], prompts[row["task_id"]] + row["completion"])
        for row in read(folder / "he-claireeeeeeee.jsonl.gz")
    ]
    return Known("humaneval", prompts, prompts, grouped(pairs, list(prompts), n))


def mbpp(folder: Path, n: int | None) -> Known:
    from mtp_eval.tasks.registry import load_task

    problems = load_task("mbpp").problems()
    names = [problem.problem_id for problem in problems]
    pairs = [(f"mbpp/{row['task_id']}", row["solution"]) for row in read(folder / "mbpp-ldb-seed.jsonl.gz")]
    shown = {problem.problem_id: problem.prompt.rsplit("here is your task: ", 1)[1] for problem in problems}
    return Known("mbpp", dict.fromkeys(names, ""), shown, grouped(pairs, names, n))


def grouped(pairs: Sequence[tuple[str, str]], names: Sequence[str], n: int | None) -> dict[str, list[str]]:
    """The distinct programs of the task's problems, in its order; of the first n pairs if one is given."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, program in list(dict.fromkeys(pairs))[:n]:
        found[name].append(program)
    return {name: found[name] for name in names if name in found}


def scored(source: str, task: str | None, options: Sequence[str], out: Path, text: bytes | None = None) -> Scored:
    """What the command makes of a file or a run folder; `text` is standard input."""
    words = ["score", source, "--k", "1", "--out", str(out), *options]
    words += ["--task", task, "--label", "m", "--allow-missing"] if task else []
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "mtp_eval.harness", *words], input=text, check=True, capture_output=True)
    records = [json.loads(line) for line in (out / "records.jsonl").read_text("utf-8").splitlines()]
    verdicts = {(record["problem_id"], record["sample"]): record["verdict"] for record in records}
    cells = json.loads((out / "metrics.json").read_text())["cells"]
    return Scored(verdicts, cells, time.monotonic() - started)


def in_form(known: Known, form: Form, folder: Path) -> Scored:
    folder.mkdir(parents=True)
    path = form.write(known, folder)
    if form.is_piped:
        return scored("-", known.task, form.options, folder / "run", path.read_bytes())
    return scored(str(path), known.task, form.options, folder / "run")


def drawing(task: str) -> set[str]:
    """The problems whose tests draw their inputs."""
    from mtp_eval.tasks.registry import load_task

    loaded = load_task(task)
    tests = {one.problem_id: str(loaded.judge(one, "")) for one in loaded.problems()}
    return {name for name, of in tests.items() if "import random" in of or "from random" in of}


def compared(first: Scored, other: Scored, draw: set[str]) -> dict[str, Any]:
    """Where another run differs; an extraction rule is part of no cell."""
    names = first.verdicts.keys() | other.verdicts.keys()
    pairs = {name: (first.verdicts.get(name), other.verdicts.get(name)) for name in sorted(names)}
    differ = [[*name, *pair] for name, pair in pairs.items() if pair[0] != pair[1]]
    by_draw = [one for one in differ if one[0] in draw and "passed" not in one]
    cells, others = first.cells, other.cells
    if by_draw:
        cells, others = ([{**cell, "verdicts": None} for cell in of] for of in (cells, others))
    return {
        "completions": len(other.verdicts),
        "differ": [one for one in differ if one not in by_draw],
        "differ_by_draw": by_draw,
        "same_metrics": cells == others,
        "seconds": other.seconds,
    }


def of_task(known: Known, work: Path) -> dict[str, Any]:
    """Every form of a task's programs beside the first."""
    first = in_form(known, FORMS[FIRST], work / FIRST)
    print(
        f"{known.task}: {len(first.verdicts)} programs of {len(known.programs)} problems, {dict(Counter(first.verdicts.values()))}"
    )
    figures, draw = {}, drawing(known.task)
    for name, form in FORMS.items():
        if name != FIRST:
            figures[name] = report(name, compared(first, in_form(known, form, work / name), draw))
    for name, options in {"own run": (), "own run, by a rule": ("--extract", "raw")}.items():
        again = scored(str(work / FIRST / "run"), None, options, work / name)
        figures[name] = report(name, compared(first, again, draw))
    return figures


def report(name: str, found: dict[str, Any]) -> dict[str, Any]:
    same = "the same metrics" if found["same_metrics"] else "OTHER METRICS"
    print(
        f"  {name:<32} {len(found['differ'])} of {found['completions']} verdicts differ, {same} "
        f"{found['differ'][:3] or ''} {found['differ_by_draw'] or ''}",
        flush=True,
    )
    return found


def main() -> None:
    parser = study_parser(__doc__, f"the first {N_QUICK} programs of each benchmark")
    parser.add_argument(
        "--verdicts", type=Path, default=Path("../shared/data/verdicts"), help="the folder of the two files"
    )
    parser.add_argument("--programs", type=int, help="the first so many of each benchmark; default: all")
    args = parser.parse_args()
    n = N_QUICK if args.quick else args.programs
    os.environ.setdefault("MTP_EVAL_DATA", str(args.verdicts.resolve().parent / "tasks"))
    with tempfile.TemporaryDirectory() as work:
        figures = {
            known.task: of_task(known, Path(work) / known.task)
            for known in (humaneval(args.verdicts, n), mbpp(args.verdicts, n))
        }
    save(args.json, figures)
    lost = [
        name for of in figures.values() for name, found in of.items() if found["differ"] or not found["same_metrics"]
    ]
    sys.exit(f"other verdicts or metrics through {', '.join(lost)}" if lost else None)


if __name__ == "__main__":
    main()
