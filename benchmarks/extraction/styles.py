"""Known programs wrapped as chat answers in ten styles: does the verdict survive extraction?

    python -m benchmarks.extraction.styles --task humaneval [--evalplus PYTHON] PROGRAMS.jsonl.gz

Each line of the file has `task_id` and a program: `solution`, or `completion`, which may begin with the prompt. Every distinct
program is judged as it is, then as `fence` and `definitions` extract it from each style. A difference is a program of which the
extraction lost a part, or found another one. With --evalplus the same answers go through EvalPlus's sanitize (of a Python that has it),
and every answer is counted of which the two verdicts differ.
"""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.study import save, study_parser

if TYPE_CHECKING:
    from mtp_eval.sandbox import Executor, Program
    from mtp_eval.tasks.problem import Judgement, Problem, Task

DRAFT = "def draft():\n    return None\n"
STYLES: dict[str, Callable[[str, str], str]] = {
    "one block": lambda code, name: f"Here is `{name}`:\n\n```python\n{code}\n```\n\nIt does what was asked.",
    "no language": lambda code, name: f"```\n{code}\n```",
    "thought first": lambda code, name: (
        f"<think>\nI could write\n```python\n{DRAFT}```\nbut no.\n</think>\n\n```python\n{code}\n```"
    ),
    "draft first": lambda code, name: (
        f"A first try:\n```python\ndef {name}(*args):\n    pass\n```\nNow the whole:\n```python\n{code}\n```"
    ),
    "use behind": lambda code, name: (
        f"```python\n{code}\n```\nUse it:\n```python\nprint({name})\n```\nOutput:\n```\n<function>\n```"
    ),
    "shell first": lambda code, name: f"```bash\npip install numpy\n```\n\n```python\n{code}\n```",
    "in a list": lambda code, name: "1. The program:\n\n" + indented(f"```python\n{code}\n```") + "\n2. Done.",
    "never closed": lambda code, name: f"Sure!\n```python\n{code}\n<|im_end|>",
    "Windows": lambda code, name: f"Sure!\n\n```python\n{code}\n```\nDone.".replace("\n", "\r\n"),
    "no fence": lambda code, name: f"Here's the function you're asking for:\n\n{code}\n\nThat's it, isn't it?",
}
RULES = ("fence", "definitions")


def indented(text: str) -> str:
    return "\n".join(f"   {line}" if line else line for line in text.split("\n"))


def read(file: Path) -> list[dict[str, Any]]:
    """The file's lines, each program of a problem once."""
    text = gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return list({(str(row["task_id"]), row.get("solution") or row["completion"]): row for row in rows}.values())


class Judge:
    """Whether programs are right; each distinct program of a problem is executed once."""

    def __init__(self, pool: Executor) -> None:
        self.pool = pool
        self.known: dict[tuple[str, str], bool] = {}

    def __call__(self, judged: Sequence[Program | Judgement]) -> list[bool]:
        from mtp_eval.harness.evaluation.judging import judge_all
        from mtp_eval.sandbox import Program

        programs = [one for one in judged if isinstance(one, Program)]
        assert len(programs) == len(judged), "a benchmark of programs"
        keys = [(program.problem_id, program.source) for program in programs]
        new = {key: program for key, program in zip(keys, programs, strict=True) if key not in self.known}
        outcomes = judge_all(iter(new.values()), self.pool)
        self.known |= {key: outcome.passed for key, outcome in zip(new, outcomes, strict=True)}
        return [self.known[key] for key in keys]


SANITIZE = """
import json, sys
from evalplus.sanitize import sanitize
for line in sys.stdin:
    text, name = json.loads(line)
    print(json.dumps(sanitize(text, name)), flush=True)
"""
"""Run by a Python that has EvalPlus: a line for each answer, [text, entry point], gives a line with the program."""


def sanitized(python: Path, answers: Sequence[tuple[str, str]]) -> list[str]:
    """What EvalPlus makes of answers, each with its entry point."""
    asked = "".join(json.dumps(answer) + "\n" for answer in answers)
    done = subprocess.run([str(python), "-c", SANITIZE], input=asked, text=True, check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compared(name: str, own: Sequence[bool], got: Sequence[bool], ids: Sequence[str]) -> dict[str, Any]:
    """How many right programs were lost and wrong ones gained, and which."""
    counted = Counter(zip(own, got, strict=True))
    differ = [id for id, a, b in zip(ids, own, got, strict=True) if a != b]
    print(f"{name:<28} lost {counted[True, False]}, gained {counted[False, True]}  {differ[:5] or ''}", flush=True)
    return {"lost": counted[True, False], "gained": counted[False, True], "differ": differ}


def main() -> None:
    from mtp_eval.sandbox import Pool
    from mtp_eval.tasks.registry import load_task

    parser = study_parser(__doc__, "30 programs")
    parser.add_argument("programs", type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--limit", type=int, help="so many programs, evenly drawn; default: all")
    parser.add_argument(
        "--evalplus", type=Path, metavar="PYTHON", help="a Python with EvalPlus, whose sanitize is compared"
    )
    parser.add_argument("--evalplus-programs", type=int, default=300, help="so many programs, evenly drawn")
    args = parser.parse_args()
    plain = load_task(args.task)
    problems = {problem.problem_id.split("/")[-1]: problem for problem in plain.problems()}
    rows = [row for row in read(args.programs) if str(row["task_id"]).split("/")[-1] in problems]
    n = 30 if args.quick else args.limit
    rows = rows[:: max(1, len(rows) // n)][:n] if n else rows
    pairs = [(problems[str(r["task_id"]).split("/")[-1]], whole(plain, problems, r)) for r in rows]
    figures: dict[str, Any] = {}
    with Pool(workers=2) as pool:
        judge = Judge(pool)
        own = judge([plain.judge_given(p, code, whole=True) for p, code in pairs])
        print(f"{len(pairs)} programs, {sum(own)} right")
        for rule, style in itertools.product(RULES, STYLES):
            if (rule, style) != ("fence", "no fence"):
                task = load_task(args.task, extract=rule)
                got = judge([task.judge(p, STYLES[style](code.strip("\n"), named(p))) for p, code in pairs])
                figures[f"{rule}: {style}"] = compared(f"{rule}: {style}", own, got, [p.problem_id for p, _ in pairs])
        if args.evalplus:
            figures |= beside_evalplus(args, plain, pairs, judge)
    save(args.json, figures)


def whole(task: Task, problems: Mapping[str, Problem], row: Mapping[str, Any]) -> str:
    """The program of a row: a completion goes on from the prompt unless it begins with it."""
    if row.get("solution"):
        return str(row["solution"])
    prefix = task.prefix(problems[str(row["task_id"]).split("/")[-1]])
    return str(row["completion"]) if row["completion"].startswith(prefix) else prefix + row["completion"]


def named(problem: Problem) -> str:
    return problem.entry_point or "main"


def beside_evalplus(args: Any, plain: Task, pairs: Sequence[tuple[Problem, str]], judge: Judge) -> dict[str, Any]:
    """EvalPlus's sanitize and our `definitions` on the same answers, and every answer whose verdicts differ."""
    from mtp_eval.tasks.registry import load_task

    drawn = pairs[:: max(1, len(pairs) // args.evalplus_programs)][: args.evalplus_programs]
    ids, ours = [p.problem_id for p, _ in drawn], load_task(args.task, extract="definitions")
    own = judge([plain.judge_given(p, code, whole=True) for p, code in drawn])
    figures: dict[str, Any] = {}
    for style, wrap in STYLES.items():
        answers = [(wrap(code.strip("\n"), named(p)), named(p)) for p, code in drawn]
        theirs = judge(
            [
                plain.judge_given(p, text, whole=True)
                for (p, _), text in zip(drawn, sanitized(args.evalplus, answers), strict=True)
            ]
        )
        got = judge([ours.judge(p, text) for (p, _), (text, _) in zip(drawn, answers, strict=True)])
        found = compared(f"EvalPlus: {style}", own, theirs, ids)
        apart = [
            {"problem": id, "right": a, "ours": b, "EvalPlus": c}
            for id, a, b, c in zip(ids, own, got, theirs, strict=True)
            if b != c
        ]
        print(
            f"{'':<28} {len(apart)} of {len(ids)} verdicts differ from ours; ours wrong: {sum(x['ours'] != x['right'] for x in apart)}"
        )
        figures[f"EvalPlus: {style}"] = {**found, "answers": len(ids), "right": sum(own), "apart": apart}
    return figures


if __name__ == "__main__":
    main()
