"""Nights on which the score has fallen to nothing, each with something else wrong: none of them may pass."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.tasks.registry import load_task
from tests.command_line import exit_code_of

runner = CliRunner()
N_PROBLEMS = 8
CONFIG = """
report = false
task = ["humaneval"]
[models]
n1 = "samples:n1.jsonl"
[run]
limit = 8
isolation = "process"
workers = 1
"""
Damage = Callable[[Path], object]


def write_samples(path: Path, right: bool) -> None:
    rows = [
        {"task_id": p.problem_id, "completion": p.reference if right else "    return 'no'\n"}
        for p in load_task("humaneval").problems()[:N_PROBLEMS]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def three_good_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("nights")
    before = Path.cwd()
    os.chdir(place)
    try:
        Path("nightly.toml").write_text(CONFIG)
        write_samples(Path("n1.jsonl"), right=True)
        for name in ("a", "b", "c"):
            result = runner.invoke(app, ["nightly", "nightly.toml", "--night", name])
            assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    finally:
        os.chdir(before)
    return place


def journal(night: str) -> Path:
    return Path("nightly") / night / "n1" / "humaneval" / "records.jsonl"


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def in_config(old: str, new: str) -> Damage:
    return lambda _: edit(Path("nightly.toml"), lambda text: text.replace(old, new))


def all_failed(_: Path) -> None:
    """The level's verdicts forged, without their checksums, so that tonight looks like no loss."""
    forged("failed")


def forged(verdict: str) -> None:
    lines = [json.loads(line) for line in journal("c").read_text().splitlines()]
    for line in lines:
        del line["crc32"]
        line["verdict"] = verdict
    journal("c").write_text("".join(json.dumps(line) + "\n" for line in lines))


def no_number(text: str) -> str:
    """NaN for every time, without checksums."""
    return re.sub(r'("wall_seconds": )[^,]*(.*), "crc32": "[^"]*"', r"\1NaN\2", text)


def link_to_itself(_: Path) -> None:
    shutil.rmtree("nightly/c")
    Path("nightly/c").symlink_to("c")


def link_to_nothing(_: Path) -> None:
    journal("c").unlink()
    journal("c").symlink_to("nowhere")


def file_for_folder(_: Path) -> None:
    shutil.rmtree("nightly/c/n1/humaneval")
    Path("nightly/c/n1/humaneval").write_text("")


def linked(place: Path) -> None:
    """A pinned run that is a link to where tonight will be written."""
    shutil.copytree("nightly/c", "nightly/d")
    Path("level").symlink_to(place / "nightly" / "d" / "n1" / "humaneval")
    edit(Path("nightly.toml"), lambda text: f'baseline = "level"\n{text}')


def swapped(_: Path) -> None:
    Path("nightly.toml").write_text(CONFIG.replace("limit = 8", "limit = 7"))


DAMAGES: dict[str, Damage] = {
    "nothing": lambda _: None,
    "last night's folder removed": lambda _: shutil.rmtree("nightly/c"),
    "last night's folder renamed": lambda _: Path("nightly/c").rename("nightly/z"),
    "every night's folder removed": lambda _: list(map(shutil.rmtree, ("nightly/a", "nightly/b", "nightly/c"))),
    "the run removed": lambda _: shutil.rmtree("nightly/c/n1"),
    "the journal removed": lambda _: journal("c").unlink(),
    "the journal empty": lambda _: journal("c").write_text(""),
    "the journal cut": lambda _: edit(journal("c"), lambda text: text[: len(text) // 2]),
    "the journal zeroed": lambda _: journal("c").write_bytes(b"\0" * 5000),
    "the journal's verdicts changed": lambda _: edit(journal("c"), lambda text: text.replace('"passed"', '"failed"')),
    "the journal's verdicts and checksums changed": all_failed,
    "the journal reordered": lambda _: edit(journal("c"), lambda t: "".join(sorted(t.splitlines(keepends=True)))),
    "the journal doubled": lambda _: edit(journal("c"), lambda text: text + text),
    "run.json removed": lambda _: journal("c").with_name("run.json").unlink(),
    "run.json damaged": lambda _: journal("c").with_name("run.json").write_text("{"),
    "night.json damaged": lambda _: Path("nightly/c/night.json").write_text("[]"),
    "the history removed": lambda _: Path("nightly/history.parquet").unlink(),
    "the history damaged": lambda _: Path("nightly/history.parquet").write_bytes(b"PAR1"),
    "the history empty": lambda _: Path("nightly/history.parquet").write_bytes(b""),
    "another table as the history": lambda _: pd.DataFrame({"a": [1]}).to_parquet("nightly/history.parquet"),
    "a shorter benchmark": swapped,
    "the task under its protocol's name": in_config('"humaneval"', '"humaneval@0shot"'),
    "another task": in_config('"humaneval"', '"mbpp"'),
    "the series renamed": in_config("n1 =", "n2 ="),
    "the series upper case": in_config("n1 =", "N1 ="),
    "another sampling": in_config("limit = 8", "limit = 8\nseed = 5"),
    "the checkpoint gone": lambda _: Path("n1.jsonl").unlink(),
    "the checkpoint empty": lambda _: Path("n1.jsonl").write_text(""),
    "the pattern without a match": in_config("n1.jsonl", "n1-*.jsonl"),
    "a baseline that is not there": in_config("report", 'baseline = "runs/none"\nreport'),
    "a baseline of two, one not there": in_config("report", 'baseline = ["last-good", "nosuch"]\nreport'),
    "the previous night": in_config("report", 'baseline = "previous"\nreport'),
    "the first night": in_config("report", 'baseline = "first"\nreport'),
    "the mean of two nights": in_config("report", 'baseline = "mean-2"\nreport'),
    "a pinned night": in_config("report", 'baseline = "nightly/a/n1/humaneval"\nreport'),
    "tonight as its own pinned night": in_config("report", 'baseline = "nightly/d/n1/humaneval"\nreport'),
    "a link to tonight as the pinned night": lambda place: linked(place),
    "the only series as its own level": in_config("report", 'baseline = "n1"\ndrift = false\nreport'),
    "no series": in_config('n1 = "samples:n1.jsonl"', ""),
    "no task": in_config('["humaneval"]', "[]"),
    "no baseline": in_config("report", "baseline = []\nreport"),
    "no problem": in_config("limit = 8", "limit = 0"),
    "one problem": in_config("limit = 8", "limit = 1"),
    "more k than samples": in_config("limit = 8", "limit = 8\nk = [2]"),
    "a tolerance that is no number": in_config("report", "tolerance = nan\nreport"),
    "a tolerance without end": in_config("report", "tolerance = inf\nreport"),
    "an alpha that is no number": in_config("report", "alpha = nan\nreport"),
    "an alpha that eight problems never reach": in_config("report", "alpha = 0.001\ndrift = false\nreport"),
    "no number in the journal": lambda _: edit(journal("c"), no_number),
    "all of the level broken by the sandbox": lambda _: forged("infrastructure_error"),
    "the last night's folder a link to itself": link_to_itself,
    "the journal a link to nothing": link_to_nothing,
    "the run folder a file": file_for_folder,
    "run.json of another run": lambda _: edit(
        journal("c").with_name("run.json"), lambda t: t.replace("humaneval", "mbpp")
    ),
    "run.json asks for more problems": lambda _: edit(
        journal("c").with_name("run.json"), lambda t: t.replace('"n_problems": 8', '"n_problems": 9')
    ),
    "a model renamed in the last night": lambda _: edit(
        journal("c").with_name("run.json"), lambda t: t.replace('"n1": {', '"n9": {')
    ),
    "an unknown key": in_config("report", "colour = 1\nreport"),
    "an unknown task": in_config('"humaneval"', '"nosuch"'),
    "no TOML": lambda _: Path("nightly.toml").write_text("]"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_no_bad_night_is_green(
    three_good_nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / "work"
    shutil.copytree(three_good_nights, place)
    monkeypatch.chdir(place)
    write_samples(Path("n1.jsonl"), right=False)
    DAMAGES[name](place)
    tonight = runner.invoke(app, ["nightly", "nightly.toml", "--night", "d"])
    code = exit_code_of(tonight)
    assert code in (1, 2, 3), f"{tonight.output} {tonight.exception!r}"
    assert "✅" not in Path("nightly/summary.md").read_text()
    cases = ElementTree.parse("nightly/junit.xml")
    assert cases.findall(".//failure") or cases.findall(".//error")
    if code == 2 or name == "the previous night":  # which is the level by the config's own wish
        return
    again = runner.invoke(app, ["nightly", "nightly.toml", "--night", "e"])
    assert exit_code_of(again) in (1, 3), "a bad night must not become the level of the next"


@pytest.mark.slow
def test_what_accept_takes_is_the_level_of_every_baseline(
    three_good_nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "work"
    shutil.copytree(three_good_nights, place)
    monkeypatch.chdir(place)
    write_samples(Path("n1.jsonl"), right=False)
    names = '["last-good", "previous", "first", "mean-3", "nightly/a/n1/humaneval"]'
    # five comparisons of eight problems can be significant at 0.05, and not at 0.01
    edit(Path("nightly.toml"), lambda text: f"baseline = {names}\nalpha = 0.05\n{text}")
    assert exit_code_of(runner.invoke(app, ["nightly", "nightly.toml", "--night", "d", "--accept"])) == 0
    later = runner.invoke(app, ["nightly", "nightly.toml", "--night", "e"])
    assert exit_code_of(later) == 0, f"{later.output} {later.exception!r}"
    assert later.stdout.count("n1 of d") >= 3
    assert "no significant regression in 5 comparisons" in later.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 2.0, 3.5])
def test_a_night_that_is_killed_leaves_nothing_green(
    three_good_nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    place = tmp_path / "work"
    shutil.copytree(three_good_nights, place)
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "LANG", "LC_ALL")}
    environment |= {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "mtp_eval.harness", "nightly", "nightly.toml", "--night", "d"]
    monkeypatch.chdir(place)
    write_samples(Path("n1.jsonl"), right=False)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while "not come to its end" not in Path("nightly/summary.md").read_text() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(seconds)
    finally:
        finished = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    if not finished:
        assert "✅" not in Path("nightly/summary.md").read_text()
        # killed while it runs: an error; killed when all is written but the command has not ended yet: the regression
        junit = ElementTree.parse("nightly/junit.xml")
        assert junit.findall(".//error") or junit.findall(".//failure")
    whole = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert whole.returncode == 3, whole.stderr.decode()


@pytest.mark.slow
def test_the_summary_is_given_to_a_command_however_the_night_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nightly.toml").write_text("colour = 1\n" + CONFIG)
    told = ["--notify", "cat > told.txt; echo code $MTP_EVAL_EXIT_CODE >> told.txt"]
    assert exit_code_of(runner.invoke(app, ["nightly", "nightly.toml", *told])) == 2
    assert "colour" in Path("told.txt").read_text()
    assert "code 2" in Path("told.txt").read_text()
