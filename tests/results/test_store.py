"""The run folder: what it keeps through kills, full disks, other configurations and other writers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.results.errors import RunError, RunLocked, RunMismatch
from mtp_eval.results.finish import finish
from mtp_eval.results.frame import load_scores
from mtp_eval.results.journal import Keys, line_of
from mtp_eval.results.record import Record
from mtp_eval.results.run import read_run
from mtp_eval.results.store import RunStore

NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]


def some_records(new_record: NewRecord, n_problems: int = 4, n_samples: int = 3) -> list[Record]:
    return [
        new_record("a", "toy", f"toy/{p}", s, "passed" if (p + s) % 3 == 0 else "failed")
        for p in range(n_problems)
        for s in range(n_samples)
    ]


def test_what_is_appended_is_read_back(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    records = [new_record("a", "toy", "toy/0", 0, completion="\ud800 \x00 <script> \u2028 ü\n")]
    with RunStore.open(tmp_path / "run", new_header(["a"], {"toy": {"n_problems": 1}})) as store:
        store.append(records)
    again = RunStore.read(tmp_path / "run")
    assert list(again.records()) == records
    assert set(again.keys()) == {("a", "toy", "toy/0", 0)}
    assert again.header.n_samples == 1


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_torn_last_line_is_cut_and_the_rest_kept(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord, cut: int
) -> None:
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3), some_records(new_record)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
    journal = tmp_path / "run" / "records.jsonl"
    os.truncate(journal, journal.stat().st_size - cut)
    assert list(RunStore.read(tmp_path / "run").records()) == records[:-1]
    with RunStore.open(tmp_path / "run", header) as store:
        assert set(store.keys()) == {r.key for r in records[:-1]}
        store.append(records[-1:])
    assert list(RunStore.read(tmp_path / "run").records()) == records


def test_zeros_after_a_power_cut_are_cut(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3), some_records(new_record)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
    with open(tmp_path / "run" / "records.jsonl", "ab") as file:
        file.write(b"\0" * 5000)
    with RunStore.open(tmp_path / "run", header) as store:
        assert list(store.records()) == records


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "records.jsonl").read_bytes().splitlines(keepends=True)


def damaged(lines: list[bytes]) -> list[tuple[str, list[bytes]]]:
    """The same journal with something wrong in it: the fault's words, and the lines."""
    flipped = lines[2].replace(b'"verdict": "failed"', b'"verdict": "passed"')
    assert flipped != lines[2]
    other = lines[4].replace(b'"sample": 1', b'"sample": 0')
    assert other != lines[4]
    return [
        ("line 3 does not match its checksum", [*lines[:2], flipped, *lines[3:]]),
        ("line 5 does not match its checksum", [*lines[:4], other, *lines[5:]]),
        ("line 2 is not a record", [lines[0], b'{"model": "a"}\n', *lines[2:]]),
        ("line 2 is not a record", [lines[0], b"\0" * 300 + b"\n", *lines[2:]]),
        ("line 2 is not a record", [lines[0], b"[" * 100_000 + b"\n", *lines[2:]]),
        ("line 2 is not a record", [lines[0], b'{"model": "a", "sample": ' + b"9" * 5000 + b"}\n", *lines[2:]]),
        ("line 2 is not a record", [lines[0], b"\xff\xfe\n", *lines[2:]]),
        ("line 13 is a second record of toy/0 sample 2", [*lines, lines[2]]),
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_line_that_cannot_be_believed_is_named_left_out_and_made_again(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord, number: int
) -> None:
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3), some_records(new_record)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
        whole = finish(store, [1], {})
    said, lines = damaged(lines_of(tmp_path / "run"))[number]
    (tmp_path / "run" / "records.jsonl").write_bytes(b"".join(lines))
    read = read_run(tmp_path / "run")
    assert said in read.damage
    assert said in str(read.table())
    assert not read.is_complete
    assert list(load_scores(tmp_path / "run")["run_complete"]) == [False]
    assert {record.key for record in read.records()} <= {record.key for record in records}
    with RunStore.open(tmp_path / "run", header) as store:
        assert store.n_set_aside >= 1
        done = store.keys()
        store.append([record for record in records if record.key not in done])
        assert finish(store, [1], {}).cells[0].c.tolist() == whole.cells[0].c.tolist()
    assert not read_run(tmp_path / "run").damage
    assert read_run(tmp_path / "run").is_complete
    assert len(lines_of(tmp_path / "run")) == len(records)
    assert (tmp_path / "run" / "records.set_aside.jsonl").stat().st_size > 0


def test_two_lines_of_one_key_that_differ_are_both_made_again(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3), some_records(new_record)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
    with open(tmp_path / "run" / "records.jsonl", "ab") as file:
        file.write(line_of(new_record("a", "toy", "toy/0", 2, "passed")))
    with RunStore.open(tmp_path / "run", header) as store:
        assert {record.key for record in records} - set(store.keys()) == {("a", "toy", "toy/0", 2)}


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


def test_killed_between_appends_and_resumed_gives_the_same_metrics(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3, k=[1, 3]), some_records(new_record)
    with RunStore.open(tmp_path / "whole", header) as store:
        store.append(records)
        finish(store, [1, 3], {"wall_seconds": 1.0})
    script = """
        import os, pickle, signal, sys
        from pathlib import Path
        from mtp_eval.results.store import RunStore
        header, records, folder = pickle.load(sys.stdin.buffer)
        store = RunStore.open(Path(folder), header)
        store.append(records[5:8])
        os.write(store._journal, records[0].to_json()[:40].encode())  # the write that the kill tears
        os.kill(os.getpid(), signal.SIGKILL)
    """
    import pickle

    data = pickle.dumps((header, records, os.fspath(tmp_path / "killed")))
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], input=data, check=False)
    assert killed.returncode == -9
    with RunStore.open(tmp_path / "killed", header) as store:
        done = store.keys()
        store.append([r for r in reversed(records) if r.key not in done])
        finish(store, [1, 3], {"wall_seconds": 2.0})
    for name in ("metrics.json", "table.md", "table.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    keys = [r.key for r in RunStore.read(tmp_path / "killed").records()]
    assert sorted(keys) == sorted(r.key for r in records)


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


def test_full_disk_is_an_error_and_loses_nothing(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> None:
    """A file-size limit stands for the full disk: both make write() fail part of the way."""
    header, records = new_header(["a"], {"toy": {"n_problems": 4}}, 3), some_records(new_record)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records[:4])
    script = """
        import pickle, resource, signal, sys
        from pathlib import Path
        from mtp_eval.results.store import RunStore
        header, records, folder = pickle.load(sys.stdin.buffer)
        store = RunStore.open(Path(folder), header)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = (Path(folder) / "records.jsonl").stat().st_size + 700
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            store.append(records)
        except OSError as error:
            print(error)
            sys.exit(7)
    """
    import pickle

    data = pickle.dumps((header, records[4:], os.fspath(tmp_path / "run")))
    command = [sys.executable, "-c", textwrap.dedent(script)]
    result = subprocess.run(command, input=data, check=False, capture_output=True)
    assert result.returncode == 7, result.stderr.decode()
    assert b"Make room" in result.stdout
    assert list(RunStore.read(tmp_path / "run").records()) == records[:4]
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records[4:])
        assert list(store.records()) == records


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
