"""records.parquet holds what the journal holds, gives the same numbers, and is not believed where the journal has changed."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtp_eval.results.columns import fresh_columns, schema, tables_of
from mtp_eval.results.finish import finish
from mtp_eval.results.frame import load_completions
from mtp_eval.results.record import Record
from mtp_eval.results.run import read_run
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.problem import Completion

NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]


@pytest.fixture
def folder(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> Path:
    """Every kind of cell: groups, votes, temperatures, drafts, files, infrastructure errors, half characters."""
    rng = random.Random(4)
    tasks: dict[str, dict[str, Any]] = {
        "grouped": {"n_problems": 7, "report_by": "domain"},
        "voting": {"n_problems": 5, "kind": "exact_match"},
        "plain": {"n_problems": 6},
    }
    header = new_header(["b", "a"], tasks, 4, temperature=[0.2, 0.8], k=[1, 2])
    records = [
        new_record(
            model, task, f"{task}/{p}", sample, rng.choice(list(Verdict)).value,
            completion=f"text {sample} \udc80", program=rng.choice(["", "1", "2\udc80"]), temperature=heat,
            tags={"domain": "in" if p % 2 else "out"}, n_tokens=rng.randrange(50), n_forwards=rng.randrange(20),
            n_drafted=(3, 2) if model == "a" else (), n_accepted=(2, rng.randrange(2)) if model == "a" else (),
            generation_wall_seconds=rng.random(), same_interpreter=rng.random() < 0.2,
            stop_reason="given" if task == "plain" else "eos",
        )
        for model in ("a", "b")
        for task in tasks
        for p in range(tasks[task]["n_problems"])
        for sample, heat in enumerate([0.2, 0.2, 0.8, 0.8])
    ]  # fmt: skip
    rng.shuffle(records)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
        finish(store, [1, 2], {})
    return tmp_path / "run"


def as_text(cell: Cell) -> str:
    return repr({name: getattr(cell, name) for name in cell.__dataclass_fields__})


def test_cells_are_those_of_the_journal(folder: Path) -> None:
    store = RunStore.read(folder)
    assert fresh_columns(store) is not None
    by_columns = ScoredRun.of(store).cells
    by_lines = ScoredRun.of_records(store.header, store.records()).cells
    assert len(by_lines) == 2 * (2 * 2 + 2 + 1)
    assert list(map(as_text, by_columns)) == list(map(as_text, by_lines))


def test_other_readers_find_a_row_per_record_in_typed_columns(folder: Path) -> None:
    frame = pd.read_parquet(folder / "records.parquet")
    records = list(read_run(folder).records())
    assert len(frame) == len(records)
    assert list(frame["verdict"]) == [record.verdict.value for record in records]
    assert list(frame["sample"]) == [record.sample for record in records]
    assert frame["completion"][0] == records[0].completion.text.replace("\udc80", "\\udc80")
    assert set(frame.columns) == set(schema().names) >= set(records[0].to_row())
    assert pq.read_metadata(folder / "records.parquet").row_group(0).column(0).compression == "ZSTD"


def test_every_column_holds_what_the_line_says(folder: Path, new_record: NewRecord) -> None:
    plain = next(read_run(folder).records())
    half = "a\udc80"
    strange = Record(
        half, "t", half, Completion(half, 0, half, (1 << 63) - 1, -(1 << 63), half, ((1 << 31) - 1,), (1 - (1 << 31),)),
        half, Outcome(Verdict.FAILED, half, 1, 0.5, failed_test=0, failed_line=3, expression=half, expected=half, actual=half),
        0, {half: half},
    )  # fmt: skip
    records = [plain, strange, Record.from_json(strange.to_json())]
    rows = pa.concat_tables(tables_of(records, schema().names, 2)).to_pylist()
    for record, row in zip(records, rows, strict=True):
        line = {key: [*value] if isinstance(value, tuple) else value for key, value in record.to_row().items()}
        line["tags"] = list(record.tags.items())
        as_read = json.loads(json.dumps(line).replace("\\udc80", "\\\\udc80"))
        as_read["tags"] = list(map(tuple, as_read["tags"]))
        assert row == dict.fromkeys(schema().names) | as_read


def test_frames_of_completions_are_those_of_the_journal(folder: Path, tmp_path: Path) -> None:
    lines = shutil.copytree(folder, tmp_path / "other" / "run")
    (lines / "records.parquet").unlink()
    by_columns, by_lines = load_completions(folder, texts=True), load_completions(lines, texts=True)
    pd.testing.assert_frame_equal(by_columns, by_lines, check_dtype=False)
    assert set(by_columns["tag_domain"]) == {"in", "out"}


@pytest.mark.parametrize("what", ["longer", "changed", "touched", "copied", "no columns", "damaged columns"])
def test_columns_are_believed_only_while_the_journal_is_the_same(folder: Path, tmp_path: Path, what: str) -> None:
    journal, columns = folder / "records.jsonl", folder / "records.parquet"
    if what == "longer":
        journal.write_bytes(journal.read_bytes() + journal.read_bytes().splitlines(keepends=True)[0])
    elif what == "changed":
        journal.write_bytes(journal.read_bytes().replace(b'"n_retries": 0', b'"n_retries": 1', 1))
        os.utime(journal, (1, 1))
    elif what == "touched":
        os.utime(journal, (1, 1))
    elif what == "copied":
        folder = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    elif what == "no columns":
        columns.unlink()
    else:
        columns.write_bytes(columns.read_bytes()[:200])
    assert (fresh_columns(RunStore.read(folder)) is not None) == (what in ("touched", "copied"))
    assert bool(read_run(folder).damage) == (what in ("longer", "changed"))
    assert read_run(folder).cells


def test_no_bit_that_falls_over_changes_a_number(folder: Path) -> None:
    """Parquet's own checksums do not notice one in ten of these."""
    path = folder / "records.parquet"
    whole, wanted = path.read_bytes(), list(map(as_text, read_run(folder).cells))
    rng = random.Random(2)
    for place in (*range(40), *rng.sample(range(len(whole)), 100), *range(len(whole) - 40, len(whole))):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert list(map(as_text, read_run(folder).cells)) == wanted
        assert len(load_completions(folder)) == 2 * (7 + 5 + 6) * 4


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"journal": 1, "columns": 2}', None])
def test_columns_of_which_nothing_is_known_are_not_believed(folder: Path, text: str | None) -> None:
    about = folder / "columns.json"
    about.unlink() if text is None else about.write_text(text)
    assert fresh_columns(RunStore.read(folder)) is None
    assert len(read_run(folder).cells) == 2 * (2 * 2 + 2 + 1)
    finish(RunStore.read(folder), [1, 2], {})
    assert fresh_columns(RunStore.read(folder)) is not None


def test_a_resumed_run_writes_its_columns_again(folder: Path, new_record: NewRecord) -> None:
    header = json.loads((folder / "run.json").read_text())
    known = {record.key for record in read_run(folder).records()}
    with RunStore.open(folder, header) as store:
        lacking = known - set(store.keys())
        assert lacking, "infrastructure errors are made again"
        store.append([new_record(m, t, p, s, "passed", temperature=0.2) for m, t, p, s in lacking])
        assert fresh_columns(store) is None
        finish(store, [1, 2], {})
        assert fresh_columns(store) is not None
    assert pq.read_metadata(folder / "records.parquet").num_rows == 2 * (7 + 5 + 6) * 4
