"""Known programs wrapped as chat answers in ten styles: does the verdict survive extraction?

    python -m benchmarks.extraction.styles --task humaneval PROGRAMS.jsonl.gz

Each line of the file has `task_id` and a whole program (`solution`, or `completion` that begins with the prompt). Every distinct
program is judged as it is, then as `fence` and `definitions` extract it from each style. A difference is a program of which the
extraction lost a part, or found another one.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.study import save, study_parser

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


def main() -> None:
    from mtp_eval.harness.evaluation.judging import judge_all
    from mtp_eval.sandbox import Pool
    from mtp_eval.tasks.registry import load_task

    parser = study_parser(__doc__, "the first 30 programs")
    parser.add_argument("programs", type=Path)
    parser.add_argument("--task", required=True)
    args = parser.parse_args()
    plain = load_task(args.task)
    problems = {problem.problem_id.split("/")[-1]: problem for problem in plain.problems()}
    rows = [row for row in read(args.programs) if str(row["task_id"]).split("/")[-1] in problems]
    rows = rows[:30] if args.quick else rows
    pairs = [(problems[str(r["task_id"]).split("/")[-1]], str(r.get("solution") or r["completion"])) for r in rows]
    figures: dict[str, dict[str, Any]] = {}
    with Pool(workers=2) as pool:
        own = [o.passed for o in judge_all((plain.judge_given(p, code, whole=True) for p, code in pairs), pool)]
        print(f"{len(pairs)} programs, {sum(own)} right")
        for rule in RULES:
            task = load_task(args.task, extract=rule)
            for style, wrap in STYLES.items():
                if style == "no fence" and rule == "fence":
                    continue
                texts = [wrap(code.strip("\n"), p.entry_point or "main") for p, code in pairs]
                judged = judge_all((task.judge(p, t) for (p, _), t in zip(pairs, texts, strict=True)), pool)
                got = [outcome.passed for outcome in judged]
                counted = Counter(zip(own, got, strict=True))
                differ = [p.problem_id for (p, _), a, b in zip(pairs, own, got, strict=True) if a != b]
                figures[f"{rule}: {style}"] = {
                    "lost": counted[True, False],
                    "gained": counted[False, True],
                    "differ": differ,
                }
                print(
                    f"{rule:<12} {style:<14} lost {counted[True, False]}, gained {counted[False, True]}  {differ[:5]}"
                )
    save(args.json, figures)


if __name__ == "__main__":
    main()
