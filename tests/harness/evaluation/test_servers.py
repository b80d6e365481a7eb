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


@pytest.mark.slow
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


def test_an_answer_that_the_servers_filter_took_away_is_no_completion(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
    (said,) = (record.getMessage() for record in caplog.records if "refused the prompt of" in record.getMessage())
    assert said.endswith(": content filter")


def test_tokens_cost_and_the_servers_own_drafts_are_noted(tmp_path: Path) -> None:
    """The server counts 7 prompt and 3 completion tokens an answer; its counters begin at 100 forwards."""
    n_asked = [0]

    def counting(body: dict[str, Any], number: int) -> Reply:
        n_asked[0] += 1
        if number == 4:
            return (200, {}, json.dumps({"choices": [{"text": " x", "finish_reason": "stop"}]}))  # without usage
        return echo(body)

    def metrics() -> str:
        of_model = '{engine="0",model_name="m"}'
        return (
            "# HELP vllm:spec_decode_num_drafts_total Number of spec decoding drafts.\n"
            f"vllm:spec_decode_num_drafts_total{of_model} {100 + 2 * n_asked[0]}.0\n"
            f"vllm:spec_decode_num_drafts_created{of_model} 1.78e+09\n"
            f"vllm:spec_decode_num_draft_tokens_total{of_model} {4 * n_asked[0]}.0\n"
            f"vllm:spec_decode_num_accepted_tokens_total{of_model} {n_asked[0]}.0\n"
        )

    with completions_server(counting, metrics) as (url, _):
        result = asked_for(tmp_path / "run", url, price_in=1.0, price_out=10.0)
    (note,) = (note for note in result.notes if "answers" in note)
    assert "12 answers with 77 prompt tokens and 33 completion tokens" in note
    assert "1 of them without a count" in note
    assert "$0.0004 by the prices given" in note  # (77 x 1 + 33 x 10) / 1e6 = 0.000407
    assert "1.50 tokens per forward, 25% of drafted tokens kept" in note
    again = run(
        model=("openai:http://127.0.0.1:9/v1#m",), task=("stargraph",), limit=12, out=tmp_path / "run", workers=1
    )
    assert list(again.notes) == list(result.notes), "prices are no part of what a run is"


def test_a_server_without_counters_says_nothing_of_drafts(tmp_path: Path) -> None:
    with completions_server() as (url, _):
        result = asked_for(tmp_path / "run", url)
    (note,) = (note for note in result.notes if "answers" in note)
    assert note == "v1#m: 12 answers with 84 prompt tokens and 36 completion tokens"


def test_a_run_folder_holds_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server repeats them in a refusal; the command line, which run.json keeps, has them in the model's name."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")

    def telling(body: dict[str, Any], number: int) -> Reply:
        return (400, {}, json.dumps({"error": "sk-very-secret, hunter22"})) if number == 3 else echo(body)

    with completions_server(telling) as (url, _):
        url = url.replace("//", "//somebody:hunter22@")
        monkeypatch.setattr("sys.argv", ["mtp-eval", "run", f"--model=openai:{url}#m"])
        asked_for(tmp_path / "run", url)
    written = "".join(
        path.read_text() for path in (tmp_path / "run").rglob("*") if path.suffix in (".json", ".jsonl", ".md")
    )
    assert "refused the prompt" in written
    assert "mtp-eval" in written
    for secret in ("sk-very-secret", "hunter22", "somebody"):
        assert secret not in written
