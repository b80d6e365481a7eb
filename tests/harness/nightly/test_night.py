"""The nightly gate end to end: real programs of HumanEval, judged by the real sandbox, night after night."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from mtp_eval.harness.cli import app
from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.nightly.config import newest, read_nightly
from mtp_eval.results.compare.comparison import compare_runs, corrected
from mtp_eval.results.errors import RegressionFound
from mtp_eval.results.header import RunHeader
from mtp_eval.results.history import COLUMNS, read_history
from mtp_eval.results.junit import Case, junit_xml
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.tasks.registry import load_task
from tests.command_line import exit_code_of

runner = CliRunner()
CONFIG = """
task = ["humaneval"]
[models]
n1 = "samples:n1.jsonl"
n4 = "samples:n4-*.jsonl"
[run]
limit = 24
isolation = "process"
workers = 1
"""


def write_samples(path: Path, wrong: set[int], age_seconds: float = 0.0) -> None:
    """Reference solutions of HumanEval, the wrong ones replaced."""
    problems = load_task("humaneval").problems()[:24]
    rows = [
        {"task_id": p.problem_id, "completion": "    return None\n" if i in wrong else p.reference}
        for i, p in enumerate(problems)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    changed = path.stat().st_mtime - age_seconds
    os.utime(path, (changed, changed))


def night(name: str, *options: str) -> Result:
    return runner.invoke(app, ["nightly", "nightly.toml", "--night", name, *options])


@pytest.mark.slow
def test_nights_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nightly.toml").write_text("report = false\n" + CONFIG)
    write_samples(Path("n1.jsonl"), set(range(0, 24, 2)))
    write_samples(Path("n4-1.jsonl"), {0, 5}, age_seconds=60)
    first = night("n1")
    assert first.exit_code == 0, f"{first.output} {first.exception!r}"
    assert "nothing to compare with yet" in first.stdout

    second = night("n2")
    assert second.exit_code == 0
    assert "no significant regression in 2 comparisons" in second.stdout
    assert "n4 of n1" in second.stdout

    write_samples(Path("n4-2.jsonl"), {0, 5, *range(6, 18)})
    third = night("n3")
    assert isinstance(third.exception, RegressionFound)
    assert exit_code_of(third) == 3
    lost = {f"HumanEval/{i}" for i in range(6, 18)}
    assert "HumanEval/6, HumanEval/7" in str(third.exception)
    failure = ElementTree.parse("nightly/junit.xml").find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert all(f"{name} 1/1 → 0/1" in failure.text for name in lost)
    assert "❌ 1 significant regression" in Path("nightly/summary.md").read_text()

    fourth = night("n4")
    assert isinstance(fourth.exception, RegressionFound), "a bad night must not become the level of the next"
    assert "n4 of n2" in str(fourth.exception)

    assert night("n5", "--accept").exit_code == 0
    Path("nightly.toml").write_text(CONFIG)
    assert night("n6").exit_code == 0

    history = read_history(Path("nightly/history.parquet"))
    assert list(history.columns) == list(COLUMNS)
    assert len(history) == 12
    scores = history[history["series"] == "n4"].set_index("night")["score"]
    assert scores["n2"] == pytest.approx(22 / 24)
    assert scores["n3"] == pytest.approx(10 / 24)
    assert (
        "| n4 | humaneval pass@1 (%) | 91.7 | 91.7 | 41.7 | 41.7 | 41.7 | 41.7 |"
        in Path("nightly/summary.md").read_text()
    )
    for name in ("report.html", "trends.png", "trends.svg", "comparison.json"):
        assert (Path("nightly") / name).stat().st_size > 0


@pytest.mark.slow
def test_budget_that_is_used_up_is_said_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_samples(Path("n1.jsonl"), set())
    write_samples(Path("n4-1.jsonl"), set())
    Path("nightly.toml").write_text("budget_minutes = 0.0001\nreport = false\n" + CONFIG)
    stopped = runner.invoke(app, ["nightly", "nightly.toml"])
    assert isinstance(stopped.exception, MtpEvalError)
    assert exit_code_of(stopped) == 1
    assert "budget was used up" in str(stopped.exception)
    assert "could not be finished" in Path("nightly/summary.md").read_text()
    Path("nightly.toml").write_text("report = false\n" + CONFIG)
    continued = runner.invoke(app, ["nightly", "nightly.toml"])
    assert continued.exit_code == 0, f"{continued.output} {continued.exception!r}"
    assert len([entry for entry in Path("nightly").iterdir() if entry.is_dir()]) == 1


@pytest.mark.slow
def test_noise_alone_seldom_fails_a_night(new_header: Callable[..., dict], new_record: Callable[..., object]) -> None:
    """40 nights of one unchanged model, 2 tasks of 80 problems of 5 samples: the chance of an alarm is 0.5 % a night.

    More than 2 alarms in 40 nights would have chance 0.001; the seed is fixed. benchmarks.results has 200 nights.
    """
    rng = np.random.default_rng(0)
    chances = {task: rng.beta(0.5, 0.8, 80) for task in ("a", "b")}
    header = RunHeader(new_header(["m"], {"a": {}, "b": {}}, 5))

    def one_night() -> ScoredRun:
        records: list[Any] = [
            new_record("m", task, f"{task}/{i}", s, "passed" if rng.random() < p else "failed")
            for task, each in chances.items()
            for i, p in enumerate(each)
            for s in range(5)
        ]
        return ScoredRun.of_records(header, records)

    alarms, before = 0, one_night()
    for _ in range(40):
        tonight = one_night()
        alarms += any(c.is_regression(0.01) for c in corrected(compare_runs(before, tonight, [1, 5])))
        before = tonight
    assert alarms <= 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('task = ["humaneval"]\n', "models"),
        (CONFIG + "colour = 1\n", "run"),
        ("colour = 1\n" + CONFIG, "unknown key 'colour'"),
        (CONFIG.replace("limit = 24", "limits = 24"), "limits"),
        (CONFIG.replace("limit = 24", 'out = "x"'), "above"),
        (CONFIG.replace("n4-*", "gone-*"), "matches nothing"),
        ('baseline = "runs/none"\n' + CONFIG, "no run folder at runs/none"),
    ],
)
def test_bad_configs_are_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n4-1.jsonl").write_text("")
    Path("nightly.toml").write_text(text)
    result = runner.invoke(app, ["nightly", "nightly.toml", "--dry-run"])
    assert exit_code_of(result) == 2, f"{result.output} {result.exception!r}"
    assert said in str(result.exception)


def test_the_newest_checkpoint_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for age, name in ((30, "n4-step9"), (20, "n4-step100"), (40, "n4-step1000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "training.json").write_text("{}")
        changed = (tmp_path / name / "training.json").stat().st_mtime - age
        os.utime(tmp_path / name / "training.json", (changed, changed))
    assert newest("n4-step*") == "n4-step100"
    assert newest("plain") == "plain"
    Path("nightly.toml").write_text(CONFIG)
    assert read_nightly(Path("nightly.toml")).baseline == ("last-good",)


def test_history_survives_pandas_and_foreign_files(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.parquet").empty
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="lacks the columns"):
        read_history(tmp_path / "other.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match="not a history"):
        read_history(tmp_path / "broken.parquet")


JENKINS = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "name",
        "tests",
        "failures",
        "errors",
        "group",
        "time",
        "skipped",
        "timestamp",
        "hostname",
        "id",
        "package",
    },
    "testcase": {"name", "time", "classname", "group"},
    **{key: {"type", "message"} for key in ("failure", "error", "skipped")},
}
"""Elements and attributes of the schema that Jenkins' xunit plugin validates with (junit-10.xsd)."""


def test_junit_holds_what_jenkins_allows() -> None:
    cases = [Case("s", status, status, "m", "d") for status in ("passed", "failure", "error", "skipped")]
    root = ElementTree.fromstring(junit_xml(cases, "2026-01-01T00:00:00").split("\n", 1)[1])
    for element in root.iter():
        assert set(element.attrib) <= JENKINS[element.tag]


def test_junit_escapes_what_xml_cannot_hold() -> None:
    text = junit_xml([Case("s", "a <b> \x00 & \ud800", "failure", 'm"', "d\x1b")])
    case = ElementTree.fromstring(text.split("\n", 1)[1]).find(".//testcase")
    assert case is not None
    assert case.get("name") == "a <b> ? & ?"
