"""Data of the report's page: the records that it holds, unpacked and counted again by plain Python."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.columns import read_tables, tables_of
from mtp_eval.results.record import Record
from mtp_eval.results.report.data import TEXTS, Packed, pack
from mtp_eval.results.report.survey import Survey, survey
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Verdict

NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]


@pytest.fixture
def records(new_record: NewRecord) -> list[Record]:
    """Two tasks, three models, problems with 1 to 12 samples, in no order, some programs judged twice and differently."""
    rng = random.Random(3)
    made = [
        new_record(
            model, task, f"{task}/{p}", sample, rng.choice(list(Verdict)).value,
            program=f"program {rng.randrange(4)}", error=rng.choice(["", "ValueError: é", "x" * 500]),
            wall_seconds=rng.random(), n_retries=rng.randrange(2), timeout_sensitive=rng.random() < 0.1,
            tags={"m": str(p)} if task == "b" else {},
        )
        for task in ("b", "a") for model in ("n4", "n1", "n2") for p in (10, 9, 1, 2) for sample in range(1 + p)
    ]  # fmt: skip
    rng.shuffle(made)
    return made


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def packed(records: list[Record], most: int) -> tuple[Survey, Packed]:
    tables = partial(tables_of, records)
    found = survey(tables, most)
    return found, pack(tables, found, {})


def shown(page: Packed) -> list[tuple[Any, ...]]:
    """(task, problem, model, sample, verdict, error, program) of each row of the page, as its script reads it."""
    index = unpacked(page.index)
    texts = [text for chunk in page.chunks for text in unpacked(chunk)]
    columns = index["columns"]
    problems = [index["problems"][p] for p in columns["problem"]]
    return [
        (
            problems[row]["task"], problems[row]["id"], index["models"][columns["model"][row]], columns["sample"][row],
            index["verdicts"][columns["verdict"][row]], index["errors"][columns["error"][row]], texts[at]["program"],
        )
        for row, at in enumerate(columns["at"])
    ]  # fmt: skip


def by_hand(records: list[Record]) -> list[tuple[Any, ...]]:
    ordered = sorted(records, key=lambda r: (r.task, int(r.problem_id.split("/")[1]), r.model, r.sample))
    return [
        (r.task, r.problem_id, r.model, r.sample, r.verdict.value, r.outcome.error[:200], r.program) for r in ordered
    ]


def test_every_record_is_a_row_with_its_own_texts(records: list[Record]) -> None:
    found, page = packed(records, most=10_000)
    assert (page.n_completions, page.n_left_out) == (len(records), 0)
    assert shown(page) == by_hand(records)
    assert found.tag_names == {"m"}


@pytest.mark.parametrize("most", [150, 60, 24, 5])
def test_where_room_is_short_the_first_samples_of_every_problem_stay(records: list[Record], most: int) -> None:
    _, page = packed(records, most)
    cells = 2 * 3 * 4
    each = max(1, most // cells)
    assert shown(page) == [row for row in by_hand(records) if row[3] < each][:most]
    assert page.n_completions + page.n_left_out == len(records)
    assert page.n_completions <= most


def test_facts_of_problems_are_those_counted_by_hand(records: list[Record]) -> None:
    found, _ = packed(records, most=10)
    of_problem = defaultdict(list)
    for record in records:
        of_problem[record.task, record.problem_id].append(record)
    assert len(found.problems) == len(of_problem) == 8
    for fact in found.problems:
        own = of_problem[fact.task, fact.problem_id]
        verdicts = defaultdict(set)
        for record in own:
            if record.judged:
                verdicts[record.program].add(record.verdict)
        assert fact.n == len(own)
        assert fact.passed == sum(record.passed for record in own)
        assert fact.timeouts == sum(record.verdict == Verdict.TIMEOUT for record in own)
        assert fact.broken == sum(not record.judged for record in own)
        assert fact.turned == sum(record.outcome.timeout_sensitive for record in own)
        assert fact.retried == sum(record.outcome.n_retries > 0 for record in own)
        assert fact.split == sum(len(several) > 1 for several in verdicts.values())
        assert fact.slowest_seconds == max(record.outcome.wall_seconds for record in own)
        assert fact.mean_seconds == pytest.approx(sum(record.outcome.wall_seconds for record in own) / len(own))
        assert fact.prompt_sha256 == own[0].prompt_sha256


@pytest.mark.slow
def test_records_by_columns_and_by_lines_make_the_same_page(
    tmp_path: Path, records: list[Record], new_header: NewHeader, new_record: NewRecord
) -> None:
    rows = [record for record in records if record.judged]
    header = new_header(["n4", "n1", "n2"], {"a": {"n_problems": 4}, "b": {"n_problems": 4}}, 11, temperature=0.5)
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(rows)
    pages = []
    for read in (partial(tables_of, rows), partial(read_tables, RunStore.read(tmp_path / "run"))):
        found = survey(read, 100)
        pages.append(pack(read, found, {}))
    assert pages[0] == pages[1]
    assert set(unpacked(pages[0].chunks[0])[0]) == set(TEXTS)
    page = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--out", str(page), "--most-completions", "100"])
    assert done.exit_code == 0, done.output
    assert pages[0].index in page.read_text("utf-8")
