"""What a run promises to whoever reads one: the contract of `Run`, `RunHeader` and `RunStore`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.errors import OptionError, RunError
from mtp_eval.results.finish import finish
from mtp_eval.results.frame import load_completions, load_scores
from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.run import read_run, read_runs
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.problem import Completion

MakeRun = Callable[..., Path]
NewRecord = Callable[..., Record]
HALF = {"n1": {"toy/0": [True, False], "toy/1": [False, False]}, "n4": {"toy/0": [True, True], "toy/1": [False, True]}}


def test_a_run_tells_its_models_tasks_and_ks(make_run: MakeRun) -> None:
    run = read_run(make_run("a", HALF, k=[1, 2]))
    assert (run.models, run.tasks, run.ks, run.name) == (("n1", "n4"), ("toy",), (1, 2), "a")
    assert run.task("toy").n_problems == 2
    assert run.task("nosuch").protocol is None
    assert [cell.c.tolist() for cell in run.cells_of("n4")] == [[2, 1]]
    assert run.cells_of("nosuch") == ()
    assert run.is_complete
    assert run.notes == ()
    assert run.timing == ()


def test_a_run_cannot_be_changed(make_run: MakeRun) -> None:
    run = read_run(make_run("a", HALF))
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.cells = ()  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.header.data = {}  # type: ignore[misc]


def test_its_table_prints_as_the_file_that_finish_wrote(make_run: MakeRun) -> None:
    folder = make_run("a", HALF, k=[1, 2])
    assert str(read_run(folder).table()) == (folder / "table.md").read_text("utf-8")


def test_its_frames_hold_scores_and_completions(make_run: MakeRun) -> None:
    run = read_run(make_run("a", HALF, k=[1, 2]))
    assert run.to_frame().set_index(["model", "k"])["score"].to_dict() == {
        ("n1", 1): 0.25, ("n1", 2): 0.5, ("n4", 1): 0.75, ("n4", 2): 1.0,
    }  # fmt: skip
    assert run.completions()["passed"].sum() == 4


def test_new_labels_reach_cells_header_table_and_records(make_run: MakeRun) -> None:
    once = read_run(make_run("a", HALF)).relabelled({"n4": "four"})
    twice = once.relabelled({"four": "4"})
    for run, name in ((once, "four"), (twice, "4")):
        assert run.models == run.header.models == ("n1", name)
        assert {record.model for record in run.records()} == {"n1", name}
        assert name in str(run.table())


def test_runs_of_one_label_are_told_apart(make_run: MakeRun) -> None:
    runs = read_runs([make_run("a", HALF), make_run("b", HALF)])
    assert [run.models for run in runs] == [("a/n1", "a/n4"), ("b/n1", "b/n4")]


def test_runs_of_one_folder_name_are_told_apart_by_the_path_before_it(write_run: MakeRun, tmp_path: Path) -> None:
    folders = [write_run(tmp_path / night / "mbpp", HALF) for night in ("monday", "tuesday")]
    assert [run.name for run in read_runs(folders)] == ["monday/mbpp", "tuesday/mbpp"]
    assert set(load_scores(folders)["run"]) == set(load_completions(folders)["run"]) == {"monday/mbpp", "tuesday/mbpp"}
    with pytest.raises(OptionError, match="given twice"):
        read_runs([folders[0], folders[0] / ".." / "mbpp"])


@pytest.mark.slow
def test_an_unfinished_run_says_so_wherever_its_numbers_appear(write_run: MakeRun, tmp_path: Path) -> None:
    whole = write_run(tmp_path / "monday" / "mbpp", HALF)
    half = write_run(tmp_path / "tuesday" / "mbpp", HALF)
    journal = half / "records.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-2]))
    page = tmp_path / "report.html"
    for arguments in (
        ["table", half], ["table", half, "--style", "by-n"], ["table", half, "--format", "latex"], ["table", half, "--format", "html"],
        ["table", whole, "--baseline", f"{half}::n1"], ["table", half, "--pool-seeds"], ["table", half, "--format", "lm-eval"],
        ["compare", whole, half, "--on-common-problems"], ["compare", whole, half, "--format", "json", "--on-common-problems"],
        ["report", half, "--out", page],
    ):  # fmt: skip
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        said = result.output + result.stderr + (page.read_text() if page.exists() else "") + str(result.exception)
        assert "lacks 2 completions" in said or "incomplete" in said or "one model" in said, arguments
    assert list(load_scores(half)["missing"]) == [0, 2]
    assert not load_completions(half)["run_complete"].any()


def test_runs_of_one_folder_name_are_compared_under_their_paths(write_run: MakeRun, tmp_path: Path) -> None:
    folders = [str(write_run(tmp_path / night / "mbpp", HALF)) for night in ("monday", "tuesday")]
    assert "tuesday/mbpp/n1" in CliRunner().invoke(app, ["compare", *folders]).stdout


def test_texts_with_lone_surrogates_fit_into_a_frame(
    tmp_path: Path, new_header: Callable[..., dict[str, Any]], new_record: NewRecord
) -> None:
    with RunStore.open(tmp_path / "run", new_header(["m"], {"toy": {"n_problems": 1}})) as store:
        store.append([new_record("m", "toy", "toy/\udc80", 0, completion="x\udc80", error="\udc80")])
    frame = load_completions(tmp_path / "run", texts=True)
    assert frame["completion"].iloc[0] == "x\\udc80"


def test_what_finish_returns_is_what_is_read(make_run: MakeRun, new_record: NewRecord) -> None:
    folder = make_run("a", HALF)
    with RunStore.open(folder, json.loads((folder / "run.json").read_text())) as store:
        made = finish(store, [1, 2], {"wall_seconds": 2.5})
    assert made.folder == folder
    assert made.timing == ({"wall_seconds": 2.5},)
    assert str(made.table([1, 2])) == str(read_run(folder).table([1, 2])) == (folder / "table.md").read_text()


def test_folders_without_records_are_errors(tmp_path: Path, new_header: Callable[..., dict[str, Any]]) -> None:
    RunStore.open(tmp_path / "run", new_header(["m"], {"toy": {"n_problems": 1}})).close()
    with pytest.raises(RunError, match="holds no records"):
        read_run(tmp_path / "run")


def test_a_header_with_nothing_in_it_answers_every_question() -> None:
    header = RunHeader({})
    assert (header.models, header.tasks, header.temperatures) == ((), (), ())
    assert (header.config_sha256, header.created, header.isolation) == ("", "", "")
    assert (header.temperature, header.top_p, header.n_samples, header.fact("m", "seed")) == (None, None, None, None)
    assert header.ks == (1,)
    assert dict(header.versions) == dict(header.device) == dict(header.git) == dict(header.config) == {}


def test_a_sidecar_is_read_back_and_a_damaged_one_is_named(make_run: MakeRun) -> None:
    store = RunStore.read(make_run("a", HALF))
    assert store.sidecar("decoding").read(default={}) == {}
    store.sidecar("decoding").write({"heads": 4, "cost": float("nan")})
    assert store.sidecar("decoding").read(default={}) == {"heads": 4, "cost": None}
    store.sidecar("decoding").path.write_text("{")
    with pytest.raises(RunError, match=r"decoding\.json is damaged"):
        store.sidecar("decoding").read(default={})


def test_every_field_of_completion_and_outcome_survives_the_journal() -> None:
    completion = Completion("p/1", 3, "te\udc80xt", 5, 2, "eos", (1, 2), (1, 0), 0.5, 0.25, 7, 1)
    outcome = Outcome(Verdict.TIMEOUT, "too long", 3.0, 2.5, 1024, True, 2, True)
    record = Record("m", "t", "0" * 64, completion, "x = 1", outcome, 0.8, {"m": "2"})
    assert Record.from_json(record.to_json()) == record
    assert "\n" not in record.to_json()
    assert record.to_json().isascii()


def test_a_field_that_an_outcome_gets_later_is_journalled_by_itself() -> None:
    plain = Record("m", "t", "0" * 64, Completion("p", 0, ""), "", Outcome(Verdict.PASSED))
    row = plain.to_row()
    assert "isolation" not in row, "it is the same for all and stands in the header"
    known = {field.name for field in dataclasses.fields(Outcome)} - {"isolation"}
    assert known <= row.keys() | {
        f.name for f in dataclasses.fields(Outcome) if f.default == getattr(plain.outcome, f.name)
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "pased"}, "pased"),
        ({"sample": "0"}, "sample"),
        ({"sample": True}, "sample"),
        ({"n_tokens": None}, "n_tokens"),
        ({"completion": 1}, "completion"),
        ({"tags": []}, "tags"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_values_of_the_wrong_type_are_no_record(change: dict[str, Any], message: str, new_record: NewRecord) -> None:
    row = new_record("m", "t", "t/1", 0).to_row()
    assert Record.from_row(row).model == "m"
    with pytest.raises(ValueError, match=message):
        Record.from_row({**row, **change})


def test_lines_of_older_versions_are_read() -> None:
    line = '{"model": "m", "task": "t", "problem_id": "p", "sample": 0, "prompt_sha256": "", "completion": "", '
    record = Record.from_json(line + '"program": "", "verdict": "passed", "from_the_future": 1}')
    assert record.passed
    assert record.completion.stop_reason == "given"
    with pytest.raises(ValueError, match="missing"):
        Record.from_json(line + '"program": ""}')
