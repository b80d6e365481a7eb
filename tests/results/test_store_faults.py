"""The run folder through kills, full disks and damage: nothing is lost that was written, nothing counts that cannot be believed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mtp_eval.results.finish import finish
from mtp_eval.results.frame import load_scores
from mtp_eval.results.journal import line_of
from mtp_eval.results.run import read_run
from mtp_eval.results.store import RunStore
from tests.made_runs import NewHeader, NewRecord, some_records


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
    data = pickle.dumps((header, records[4:], os.fspath(tmp_path / "run")))
    command = [sys.executable, "-c", textwrap.dedent(script)]
    result = subprocess.run(command, input=data, check=False, capture_output=True)
    assert result.returncode == 7, result.stderr.decode()
    assert b"Make room" in result.stdout
    assert list(RunStore.read(tmp_path / "run").records()) == records[:4]
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records[4:])
        assert list(store.records()) == records
