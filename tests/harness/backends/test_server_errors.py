"""What users see of a server that cannot be asked, or answers in an unusual way: its own words, and what to do."""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

import pytest

from mtp_eval.harness.backends import openai_answers, patience
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.errors import InputError, MtpEvalError
from tests.harness.backends.asking import SAMPLED, completed, requests
from tests.harness.backends.server import Answer, Reply, completions_server, echo

VARIABLES = [f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "NO")] + ["SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, and no proxy of whoever runs the tests."""
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(patience, "LONGEST_WAIT_SECONDS", 0.05)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def said(answer: Answer, path: str = "/v1") -> str:
    """The error of a run on such a server."""
    with completions_server(answer) as (url, _), pytest.raises(MtpEvalError) as caught:
        list(OpenAIBackend(f"{url.removesuffix('/v1')}{path}#m").generate(requests(1), SAMPLED))
    return str(caught.value)


def always(status: int, body: str = "", **headers: str) -> Answer:
    return lambda _, number: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


WORDS = {
    "OpenAI": '{"error": {"message": "the words", "type": "x", "code": null}}',
    "vLLM": '{"object": "error", "message": "the words", "type": "BadRequestError", "param": null, "code": 400}',
    "FastAPI": '{"detail": "the words"}',
    "FastAPI, a list": '{"detail": [{"loc": ["body", "seed"], "msg": "the words"}]}',
    "Ollama": '{"error": "the words"}',
    "HTML": "<html>the words</html>",
    "text": "the words",
}


@pytest.mark.parametrize("server", WORDS)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_words_of_a_server_are_shown_with_its_status(server: str, status: int) -> None:
    assert "the words" in (shown := said(always(status, WORDS[server])))
    assert f"status {status}" in shown


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"error": {}}', '{"error": null}', "[" * 100_000])
def test_a_server_without_words_has_at_least_a_status(body: str) -> None:
    assert "status 418" in said(always(418, body))


@pytest.mark.parametrize("status", [400, 401])
def test_what_a_server_says_cannot_move_the_cursor(status: int, caplog: pytest.LogCaptureFixture) -> None:
    said_by_server = json.dumps({"error": {"message": "\x1b[2J\x1b]0;title\x07 red\r\nnew\u202eline\x9b1m"}})
    shown = said(always(status, said_by_server)) + "".join(record.getMessage() for record in caplog.records)
    assert shown.isprintable()
    assert "red" in shown


@pytest.mark.parametrize("at", [150, 199, 210, 399])
def test_no_half_of_a_key_is_shown_where_long_words_are_cut(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-0123456789abcdefghijklmnopqrstuvwxyz"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for answer in (
        always(401, "y" * at + key),
        always(200, "y" * at + key),
        always(200, json.dumps({"y": "y" * at + key})),
    ):
        assert key[:6] not in said(answer)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_turns_a_question_into_a_visit_is_named(status: int) -> None:
    assert "sends requests on to http" in (shown := said(always(status, Location="/elsewhere/v1/completions")))
    assert "/elsewhere/v1/completions" in shown


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_question_is_followed(status: int) -> None:
    def moved(body: dict[str, Any], number: int) -> Reply:
        return echo(body) if number else (status, {"Location": "/elsewhere/completions"}, "")

    done, asked = completed(moved, n=1)
    assert done["p/0"].text == " w0"
    assert [body["path"] for body in asked] == ["/v1/completions", "/elsewhere/completions"]


def test_an_address_without_its_v1_is_told_so() -> None:
    missing = always(404, '{"detail": "Not Found"}')
    assert "/v1#MODEL" in said(missing, path="")
    assert "/v1#MODEL" not in said(missing)


def test_a_proxy_that_a_request_goes_through_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://somebody:hunter22@127.0.0.1:9")
    shown = said(echo)
    assert "HTTP_PROXY" in shown
    assert "NO_PROXY=127.0.0.1" in shown
    assert "hunter22" not in shown
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with completions_server() as (url, _):
        assert len(list(OpenAIBackend(f"{url}#m").generate(requests(1), SAMPLED))) == 1
    assert "PROXY" not in said(always(403, "no"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "ftp://somebody:hunter22@127.0.0.1:9"),
        ("SSL_CERT_FILE", os.devnull),
        ("SSL_CERT_FILE", "/nonexistent/certificates"),
    ],
)
def test_variables_with_which_nothing_can_be_asked_are_named_at_once(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=name) as caught:
        OpenAIBackend("http://127.0.0.1:9/v1#m")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("source", ["http://ho st/v1#m", "http://a\0b/v1#m", "http://h/v1#m\udcff", "http://h/v\n1#m"])
def test_sources_that_no_request_can_hold_are_refused(source: str) -> None:
    with pytest.raises(InputError, match="openai:URL#MODEL") as caught:
        OpenAIBackend(source)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "ascii", "no-such", ""])
def test_a_text_is_utf_8_whatever_a_header_says(charset: str) -> None:
    text = "# é → 日本 \U0001f600"
    answer = json.dumps({"choices": [{"text": text}]}, ensure_ascii=False)
    done, _ = completed(always(200, answer, Content_Type=f"application/json; charset={charset}"), n=1)
    assert done["p/0"].text == text


def test_a_byte_order_mark_is_no_part_of_an_answer() -> None:
    done, _ = completed(lambda body, _: (200, {}, "\ufeff" + echo(body)[2]), n=1)
    assert done["p/0"].text == " w0"


def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_answers, "MOST_BYTES", 1 << 20)
    assert "more than 1 MiB" in said(always(200, " " * (1 << 20) + "x"))
    done, _ = completed(lambda body, _: (200, {}, echo(body)[2].ljust(1 << 20)), n=1)
    assert done["p/0"].text == " w0"


def test_an_answer_that_unpacks_to_far_more_than_was_sent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_answers, "MOST_BYTES", 1 << 20)
    packed = gzip.compress(b" " * (1 << 24)).decode("latin-1")
    assert "more than 1 MiB" in said(always(200, packed, Content_Encoding="gzip"))


@pytest.mark.parametrize("status", [400, 401, 500])
def test_an_error_that_cannot_be_unpacked_is_one_sentence(status: int) -> None:
    assert "decompress" in said(always(status, "no gzip", Content_Encoding="gzip"))
