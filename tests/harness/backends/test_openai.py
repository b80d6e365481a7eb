"""The openai: backend against a small server of the same protocol on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.tasks.problem import Chat, Request
from tests.harness.backends.server import completions_server


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with completions_server() as found:
        yield found


def test_requests_carry_the_settings_and_stops_beyond_four_are_cut_here(
    server: tuple[str, list[dict[str, Any]]],
) -> None:
    url, asked = server
    stops = ("S1", "S2", "S3", "S4", "\nSTOP5")
    requests = [Request(f"p/{i}", 0, f"say w{i}", seed=i, stop=stops, max_new_tokens=9) for i in range(5)]
    done = {c.problem_id: c for c in OpenAIBackend(f"{url}#m").generate(requests, DecodingSettings(temperature=0.5))}
    assert {name: c.text for name, c in done.items()} == {f"p/{i}": f" w{i}" for i in range(5)}
    assert {c.stop_reason for c in done.values()} == {"stop"}
    assert done["p/0"].n_tokens == 3
    assert all(a["max_tokens"] == 9 and a["temperature"] == 0.5 and len(a["stop"]) == 4 for a in asked)
    assert sorted(a["seed"] for a in asked) == list(range(5))


def test_a_chat_is_asked_as_a_message_and_nothing_is_cut(server: tuple[str, list[dict[str, Any]]]) -> None:
    url, asked = server
    chat = Chat("question\n", "answer\n```python\n", "question alone")
    request = Request("p/0", 0, "shown", seed=1, stop=("\nSTOP5",), max_new_tokens=9, chat=chat)
    (done,) = OpenAIBackend(f"{url}#m").generate([request], DecodingSettings(temperature=0.5))
    assert done.text == " alone\nSTOP5 beyond"
    (body,) = asked
    assert body["messages"] == [{"role": "user", "content": "question alone"}]
    assert (body.get("stop"), body["max_tokens"], body["seed"]) == (None, 9, 1)


def test_a_spec_without_a_model_is_refused() -> None:
    with pytest.raises(InputError, match="openai:URL#MODEL"):
        OpenAIBackend("http://localhost:8000/v1")


def test_settings_that_the_protocol_lacks_are_refused(server: tuple[str, list[dict[str, Any]]]) -> None:
    backend = OpenAIBackend(f"{server[0]}#m")
    request = Request("p/0", 0, "x", seed=0)
    for settings in (DecodingSettings(top_k=5), DecodingSettings(decode="self-speculative")):
        with pytest.raises(InputError):
            next(backend.generate([request], settings))


def test_a_server_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OpenAIBackend("http://127.0.0.1:9/v1#m", max_retries=0)
    with pytest.raises(MtpEvalError, match=r"the server at http://127.0.0.1:9/v1 did not complete p/0"):
        next(backend.generate([Request("p/0", 0, "x", seed=0)], DecodingSettings()))
