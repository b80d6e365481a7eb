"""docs/tasks.md is true: every task, protocol and rule is on the page, and its examples run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mtp_eval.tasks.extract import rules
from mtp_eval.tasks.problem import Task
from mtp_eval.tasks.registry import load_task, task_infos

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_task_and_rule_is_on_the_page():
    for info in task_infos():
        assert f"`{info.name}`" in PAGE or info.name.startswith("apps-"), info.name
    for rule in rules():
        assert f"| `{rule}` |" in PAGE
    for info in task_infos():
        if info.name in ("humaneval", "mbpp", "gsm8k"):
            assert all(f"`{info.name}@{protocol}`" in PAGE for protocol in info.protocols)
        if info.file is None:
            assert all(f"`{protocol}`" in PAGE for protocol in info.protocols), info.name


def test_the_toml_example_is_a_task(tmp_path):
    (tmp_path / "squares.toml").write_text(blocks("toml")[0])
    (tmp_path / "squares.jsonl").write_text(json.dumps(json.loads(blocks("json")[0])) + "\n")
    task = load_task(str(tmp_path / "squares.toml"))
    program = task.judge(task.problems()[0], task.problems()[0].reference)
    exec(program.source + program.tests, {})


def test_the_python_example_is_a_task():
    namespace: dict = {}
    exec(blocks("python")[0], namespace)
    task = namespace["EchoTask"]("echo")
    assert isinstance(task, Task)
    program = task.judge(task.problems()[0], task.problems()[0].reference)
    exec(program.source + program.tests, {})
