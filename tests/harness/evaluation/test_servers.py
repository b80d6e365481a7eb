"""A run on a server that goes away: what was completed is not asked for again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.evaluation.run import run
from mtp_eval.results.run import Run
from tests.harness.backends.server import Reply, completions_server, echo


def asked_for(out: Path, url: str, **options: Any) -> Run:
    return run(model=(f"openai:{url}#m",), task=("stargraph",), limit=12, out=out, workers=1, concurrency=1, **options)


def test_a_resumed_run_asks_for_what_is_missing_only(tmp_path: Path) -> None:
    def failing(body: dict[str, Any], number: int) -> Reply:
        return echo(body) if number < 5 else (401, {}, "{}")

    out = tmp_path / "run"
    with completions_server(failing) as (url, asked):
        with pytest.raises(MtpEvalError):
            asked_for(out, url)
        n_first = len((out / "records.jsonl").read_text().splitlines())
        assert n_first == 5
        assert len(asked) <= 7  # one may have gone out before the fault was noticed
    with completions_server() as (url, asked):  # another port: the same run
        asked_for(out, url)
        assert len(asked) == 12 - 5
    header = json.loads((out / "run.json").read_text())
    assert "127.0.0.1/v1#m" in json.dumps(header)
    assert len((out / "records.jsonl").read_text().splitlines()) == 12


def test_refused_prompts_are_counted_apart(tmp_path: Path) -> None:
    def refusing(body: dict[str, Any], number: int) -> Reply:
        return (400, {}, '{"error": {"message": "too long"}}') if number == 3 else echo(body)

    with completions_server(refusing) as (url, _):
        result = asked_for(tmp_path / "run", url)
    assert any("the server refused 1 of 12 prompts" in note for note in result.notes)
    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    (refused,) = (record for record in records if "refused the prompt" in json.dumps(record))
    assert refused["verdict"] == "failed"
