"""The run folder: what is appended is read back, and other configurations, writers and doubled records are refused."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from mtp_eval.results.errors import RunError, RunLocked, RunMismatch
from mtp_eval.results.finish import finish
from mtp_eval.results.frame import load_scores
from mtp_eval.results.journal import Keys
from mtp_eval.results.run import read_run
from mtp_eval.results.store import RunStore
from tests.made_runs import NewHeader, NewRecord, some_records


def test_what_is_appended_is_read_back(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    records = [new_record("a", "toy", "toy/0", 0, completion="\ud800 \x00 <script> \u2028 ü\n")]
    with RunStore.open(tmp_path / "run", new_header(["a"], {"toy": {"n_problems": 1}})) as store:
        store.append(records)
    again = RunStore.read(tmp_path / "run")
    assert list(again.records()) == records
    assert set(again.keys()) == {("a", "toy", "toy/0", 0)}
    assert again.header.n_samples == 1


def test_programs_that_the_sandbox_broke_on_are_judged_again(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    header = new_header(["a"], {"toy": {"n_problems": 1}}, 2)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append([new_record("a", "toy", "toy/0", s, v) for s, v in enumerate(("passed", "infrastructure_error"))])
    with RunStore.open(tmp_path / "run", header) as store:
        assert set(store.keys()) == {("a", "toy", "toy/0", 0)}


def test_lines_without_a_checksum_are_read(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3), some_records(new_record)
    RunStore.open(tmp_path / "run", header).close()
    (tmp_path / "run" / "records.jsonl").write_text("".join(record.to_json() + "\n" for record in records))
    with RunStore.open(tmp_path / "run", header) as store:
        assert list(store.records()) == records
        assert store.n_set_aside == 0


def test_more_k_than_a_run_was_made_for_is_computed(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    tasks = {"toy": {"n_problems": 4}}
    with RunStore.open(tmp_path / "run", new_header(["a"], tasks, 3, k=[1])) as store:
        store.append(some_records(new_record))
        finish(store, [1], {})
    with RunStore.open(tmp_path / "run", new_header(["a"], tasks, 3, k=[1, 3])) as store:
        assert len(store.keys()) == 12
        assert "pass@3" in str(finish(store, [1, 3], {}).table([1, 3]))


def test_a_scored_file_says_how_many_of_its_samples_are_missing(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    header = new_header(["s.jsonl"], {"toy": {"n_problems": 4}})
    del header["config"]["n_samples"]
    given = {"stop_reason": "given"}
    for facts, lacks in ((({"n_completions": {"toy": 6}}), 3), ({}, 1)):  # older versions did not say
        header["models"]["s.jsonl"] = facts
        folder = tmp_path / f"lacks{lacks}"
        with RunStore.open(folder, header) as store:
            store.append([new_record("s.jsonl", "toy", f"toy/{p}", 0, **given) for p in range(3)])
        assert f"INCOMPLETE: s.jsonl on toy lacks {lacks} completions" in str(read_run(folder).table())
        assert list(load_scores(folder)["missing"]) == [lacks]


def test_keys_take_a_few_bytes_each() -> None:
    tracemalloc.start()
    keys = Keys(("model", "task", f"HumanEval/{p}", s) for p in range(164) for s in range(200))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(keys) == 164 * 200
    assert used < 40 * len(keys)
    assert ("model", "task", "HumanEval/3", 199) in keys
    assert ("model", "task", "HumanEval/3", 200) not in keys


def test_other_configuration_is_refused_key_by_key(tmp_path: Path, new_header: NewHeader) -> None:
    RunStore.open(tmp_path / "run", new_header(["a"], {"toy": {"n_problems": 4}}, 3)).close()
    other = new_header(["a"], {"toy": {"n_problems": 4, "data_sha256": "fff"}}, 5, temperature=0.8)
    with pytest.raises(RunMismatch) as caught:
        RunStore.open(tmp_path / "run", other)
    message = str(caught.value)
    assert "n_samples: 3 there, 5 now" in message
    assert "temperature: 0.0 there, 0.8 now" in message
    assert "tasks.toy.data_sha256" in message
    assert "seed" not in message


def test_two_writers_of_one_run_are_refused(tmp_path: Path, new_header: NewHeader) -> None:
    header = new_header(["a"], {"toy": {"n_problems": 4}})
    with RunStore.open(tmp_path / "run", header):
        with pytest.raises(RunLocked, match=f"pid {os.getpid()}"):
            RunStore.open(tmp_path / "run", header)
        RunStore.read(tmp_path / "run")
    RunStore.open(tmp_path / "run", header).close()


def test_no_record_twice(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    records = some_records(new_record)
    with RunStore.open(tmp_path / "run", new_header(["a"], {"toy": {"n_problems": 4}}, 3)) as store:
        store.append(records[:2])
        with pytest.raises(ValueError, match="in the journal already"):
            store.append(records[1:3])
        with pytest.raises(ValueError, match="in the journal already"):
            store.append([records[3], records[3]])
        assert list(store.records()) == records[:2]


def test_bad_folders_are_named(tmp_path: Path, new_header: NewHeader) -> None:
    with pytest.raises(RunError, match="no run folder"):
        RunStore.read(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"holds no run\.json"):
        RunStore.read(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        RunStore.open(tmp_path, new_header(["a"], {}))
    with pytest.raises(ValueError, match="is a file"):
        RunStore.open(tmp_path / "notes.txt", new_header(["a"], {}))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        RunStore.read(tmp_path / "run")


def test_timing_of_every_session_is_kept(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["a"], {"toy": {"n_problems": 4}}, 3)
    for wall in (1.5, 2.5):
        with RunStore.open(tmp_path / "run", header) as store:
            done = store.keys()
            store.append([r for r in some_records(new_record) if r.key not in done])
            finish(store, [1], {"wall_seconds": wall})
    assert [session["wall_seconds"] for session in RunStore.read(tmp_path / "run").timing()] == [1.5, 2.5]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "wall_seconds" not in json.dumps(metrics)
