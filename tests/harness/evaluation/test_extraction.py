"""`mtp-eval tasks extract`: rules on a scored file, against programs whose verdicts are known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.tasks.registry import load_task


@pytest.mark.slow
def test_each_rules_score_is_that_of_its_programs(tmp_path: Path, monkeypatch):
    """Per problem: a reference with prose behind it, which only cutting saves, and a fenced answer with its signature."""
    monkeypatch.chdir(tmp_path)
    chosen = load_task("humaneval").problems()[:4]
    with Path("samples.jsonl").open("w") as out:
        for problem in chosen:
            for text in (
                problem.reference + "\n# And so on\nit is done.",
                f"```python\n{problem.prompt}{problem.reference}\n```\nDone.",
            ):
                out.write(json.dumps({"task_id": problem.problem_id, "completion": text}) + "\n")
    run = [
        "score",
        "samples.jsonl",
        "--task",
        "humaneval",
        "--k",
        "1",
        "--allow-missing",
        "--workers",
        "1",
        "--out",
        "run",
    ]
    assert CliRunner().invoke(app, run).exit_code == 0
    shown = CliRunner().invoke(app, ["tasks", "extract", "run", "--workers", "1"])
    assert shown.exit_code == 0, shown.output
    rows = {cells[3].strip("* "): cells for line in shown.output.splitlines() if len(cells := line.split("|")) == 11}
    right = {rule: int(rows[f"{rule}"][9].split()[0]) for rule in ("raw", "stops", "fence", "definitions")}
    assert right == {"raw": 0, "stops": 4, "fence": 8, "definitions": 8}
    assert "'\\n#' 4" in shown.output
    listed = CliRunner().invoke(app, ["tasks", "extract", "run", "--cuts", "fence"])
    first, second = listed.output.splitlines()[:2]
    assert first.split("\t")[1:] == ["humaneval", "HumanEval/0", "0", "24 characters from the stop string '\\n#' on"], (
        first
    )
    assert second.split("\t")[3:] == ["1", "text around one block of 1"]
