"""A run on a server that goes away: what was completed is not asked for again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.evaluation.run import run
from mtp_eval.harness.evaluation.score import score
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
    said = "NO COMPLETION: the server refused the prompts of 1 of 12 completions"
    assert said in str(result.table())
    assert said in (tmp_path / "run/table.md").read_text()
    assert json.loads((tmp_path / "run/metrics.json").read_text())["cells"][0]["verdicts"]["no_completion"] == 1
    frame = result.to_frame()
    assert list(frame["no_completion"]) == [1]
    assert result.completions()["verdict"].value_counts()["no_completion"] == 1
    again = score(samples=tmp_path / "run", extract="stops", k=[1], out=tmp_path / "again", workers=1)
    assert list(again.to_frame()["no_completion"]) == [1], "a refusal stays one under another rule"
    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    (refused,) = (record for record in records if record["verdict"] == "no_completion")
    assert refused["error"].startswith("the server refused the prompt: ")
    assert "too long" in refused["error"]


def test_an_answer_that_the_servers_filter_took_away_is_no_completion(tmp_path: Path) -> None:
    def filtering(body: dict[str, Any], number: int) -> Reply:
        status, headers, text = echo(body)
        answer = json.loads(text)
        if number in (2, 5):
            answer["choices"][0] |= {"text": "" if number == 2 else " half", "finish_reason": "content_filter"}
        return status, headers, json.dumps(answer)

    with completions_server(filtering) as (url, _):
        result = asked_for(tmp_path / "run", url)
    assert list(result.to_frame()["no_completion"]) == [1]
    assert any("content filter cut 1 of 12" in note for note in result.notes)
