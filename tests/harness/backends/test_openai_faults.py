"""Faults of a server, as the openai: backend meets them: what is asked again, what is given up, and what is never shown."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mtp_eval.harness.backends import patience
from mtp_eval.harness.backends.base import BackendOptions, Call
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.backends.registry import identity_of, model_labels
from mtp_eval.harness.backends.usage import draft_counts
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.tasks.problem import Completion
from tests.harness.backends.asking import SAMPLED, completed, requests
from tests.harness.backends.server import Asked, Reply, completions_server, echo


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(patience, "LONGEST_WAIT_SECONDS", 0.05)


@pytest.fixture
def server() -> Iterator[tuple[str, Asked]]:
    with completions_server() as found:
        yield found


TEXT_HTML = {"Content-Type": "text/html"}
MALFORMED: dict[str, Reply] = {
    "an error with status 200": (200, {}, '{"error": {"message": "model is loading"}}'),
    "no choices": (200, {}, '{"choices": [], "usage": null}'),
    "choices is null": (200, {}, '{"choices": null}'),
    "HTML": (200, TEXT_HTML, "<html>Bad gateway</html>"),
    "nothing": (200, {}, ""),
    "a text that is null": (200, {}, '{"choices": [{"text": null, "finish_reason": "stop"}]}'),
    "a list": (200, {}, "[]"),
    "a choice that is a string": (200, {}, '{"choices": ["x"]}'),
    "half an object": (200, {}, '{"choices": [{"te'),
    "a text that is a number": (200, {}, '{"choices": [{"text": 17}]}'),
    "choices that are a string": (200, {}, '{"choices": "abc"}'),
    "a text that was not completed": (200, {}, '{"choices": [{"text": " ha", "finish_reason": "abort"}]}'),
    "too deep": (200, {}, "[" * 100_000),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_an_answer_that_is_none_is_asked_for_again_and_then_named(name: str) -> None:
    done, asked = completed(lambda body, number: MALFORMED[name] if number < 2 else echo(body), n=3)
    assert {c.text for c in done.values()} == {" w0", " w1", " w2"}
    assert len(asked) == 5
    with pytest.raises(MtpEvalError, match=r"did not complete p/0: (the answer|a choice|the server did not)"):
        completed(lambda body, number: MALFORMED[name], n=1)


@pytest.mark.parametrize("usage", [None, {"completion_tokens": None}, {"completion_tokens": "3"}, []])
def test_missing_counts_are_no_error(usage: object) -> None:
    answer = {"choices": [{"text": " x", "finish_reason": None}], "usage": usage}
    done, _ = completed(lambda body, number: (200, {}, json.dumps(answer)), n=1)
    assert (done["p/0"].text, done["p/0"].n_tokens, done["p/0"].stop_reason) == (" x", 0, "stop")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_refused_prompt_is_that_samples_failure_and_is_named(status: int, caplog: pytest.LogCaptureFixture) -> None:
    def refusing(body: dict[str, Any], number: int) -> Reply:
        if body["prompt"] == "say w1":
            return status, {}, '{"error": {"message": "prompt is too long"}}'
        return echo(body)

    done, asked = completed(refusing)
    assert len(done) == len(asked) == 4  # a refusal is not asked again
    assert (done["p/1"].text, done["p/1"].stop_reason) == ("", "refused")
    assert {c.stop_reason for c in done.values()} == {"refused", "stop"}
    assert "refused the prompt of p/1" in caplog.text
    assert "prompt is too long" in caplog.text


def test_a_server_that_refuses_everything_ends_the_run() -> None:
    with pytest.raises(MtpEvalError, match=r"refused all of 4 prompts.*no such model"):
        completed(lambda body, number: (400, {}, '{"error": {"message": "no such model"}}'))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_fault_of_all_requests_ends_the_run_at_once(status: int) -> None:
    with pytest.raises(MtpEvalError, match=r"did not complete p/.*the same command goes on"):
        completed(lambda body, number: (status, {}, '{"error": {"message": "nope"}}'))


@pytest.mark.parametrize(
    "fault",
    [
        (429, {"x-should-retry": "false"}, "{}"),
        (429, {}, '{"error": {"code": "insufficient_quota"}}'),
        (429, {"Retry-After": "86400"}, "{}"),
    ],
)
def test_a_limit_that_will_not_lift_ends_the_run_at_once(fault: Reply) -> None:
    def used_up(body: dict[str, Any], number: int) -> Reply:
        return echo(body) if number < 2 else fault

    with pytest.raises(MtpEvalError, match="did not complete"):
        completed(used_up, concurrency=1)


@pytest.mark.parametrize(
    "fault",
    [
        (429, {"Retry-After": "0"}, "{}"),
        (429, {"Retry-After-ms": "3"}, "{}"),
        (500, {}, "oops"),
        (503, {}, ""),
        (200, {"Content-Encoding": "gzip"}, "no gzip"),
        "reset",
        "half",
    ],
)
def test_a_busy_or_broken_server_is_asked_again(fault: Reply | str) -> None:
    done, asked = completed(lambda body, number: fault if number < 2 else echo(body), n=2)
    assert {c.text for c in done.values()} == {" w0", " w1"}
    assert len(asked) == 4


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_server_that_hangs_is_given_up_after_the_timeout(fault: str) -> None:
    with completions_server(lambda body, number: fault) as (url, _):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(timeout_seconds=0.3), retries=1)
        with pytest.raises(MtpEvalError, match="timed out"):
            list(backend.generate(requests(2), SAMPLED))


@pytest.mark.parametrize("fault", [(500, {}, "oops"), (200, {}, "null"), "reset"])
def test_a_prompt_that_alone_gets_no_answer_is_named_when_the_others_are_done(fault: Reply | str) -> None:
    def failing(body: dict[str, Any], number: int) -> Reply | str:
        return fault if body["prompt"] == "say w1" else echo(body)

    got: list[Completion] = []
    with completions_server(failing) as (url, asked):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(concurrency=2))
        with pytest.raises(MtpEvalError, match="did not complete p/1, while it answered others"):
            got.extend(backend.generate(requests(9), SAMPLED))
    assert {c.problem_id for c in got} == {f"p/{i}" for i in range(9) if i != 1}
    prompts = Counter(body["prompt"] for body in asked)
    assert prompts.pop("say w1") > 2
    assert prompts.pop("x", 0) <= 2, "trial questions"
    assert set(prompts.values()) == {1}


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    """More failures than a request may have, all at once, of a server that has answered before and does so again."""

    def away(body: dict[str, Any], number: int) -> Reply | str:
        return "reset" if 3 <= number < 40 else echo(body)

    done, asked = completed(away, n=8, concurrency=2)
    assert len(done) == 8
    answered = Counter(body["prompt"] for number, body in enumerate(asked) if not 3 <= number < 40)
    assert {prompt: n for prompt, n in answered.items() if prompt != "x"} == {f"say w{i}": 1 for i in range(8)}


def test_a_busy_server_that_answers_others_is_asked_for_as_long_as_it_takes() -> None:
    """Seven of eight requests are turned away, drawn and not in turn: in turn, trial questions can take every place of one."""
    drawn = random.Random(0)
    takes = [drawn.random() < 1 / 8 for _ in range(100_000)]
    done, _ = completed(lambda body, number: echo(body) if takes[number] else (429, {}, "{}"), n=12, concurrency=12)
    assert len(done) == 12


def test_refused_prompts_that_fill_a_call_do_not_end_a_run() -> None:
    def refusing(body: dict[str, Any], number: int) -> Reply:
        return (400, {}, '{"error": "too long"}') if body["prompt"] == "say w0" else echo(body)

    with completions_server(refusing) as (url, asked):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(concurrency=1))
        calls = [Call(tuple(requests(2, samples=3)[at : at + 3]), SAMPLED) for at in (0, 3)]
        found = [(number, c.stop_reason) for number, c in backend.generate_each(calls)]
    assert sorted(found) == [(0, "refused")] * 3 + [(1, "stop")] * 3
    assert len(asked) == 6


def test_where_all_that_is_left_is_refused_a_short_prompt_tells_why() -> None:
    def refusing(body: dict[str, Any], number: int) -> Reply:
        return echo(body) if len(body["prompt"]) < 3 else (400, {}, '{"error": "too long"}')

    done, asked = completed(refusing)
    assert {c.stop_reason for c in done.values()} == {"refused"}
    assert [body["prompt"] for body in asked[4:]] == ["x"]


def test_what_came_before_a_fault_is_kept(server: tuple[str, Asked]) -> None:
    def failing_late(body: dict[str, Any], number: int) -> Reply:
        return echo(body) if number < 6 else (401, {}, "{}")

    got: list[Completion] = []
    with completions_server(failing_late) as (url, _):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(concurrency=1))
        with pytest.raises(MtpEvalError):
            got.extend(backend.generate(requests(9), SAMPLED))
    assert len(got) == 6


def test_credentials_and_ports_are_no_part_of_what_is_shown_or_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")

    def telling(body: dict[str, Any], number: int) -> Reply:
        return 401, {}, '{"error": {"message": "bad key sk-very-secret of password hunter22"}}'

    with completions_server(telling) as (url, _):
        spec = url.replace("//", "//somebody:hunter22@") + "#m"
        with pytest.raises(MtpEvalError) as caught:
            list(OpenAIBackend(spec, retries=0).generate(requests(1), SAMPLED))
    stored = json.dumps(
        [dict(OpenAIBackend(spec).facts()), RunConfig(model=(f"openai:{spec}",), task=("mbpp",)).result_relevant()]
    )
    for secret in ("sk-very-secret", "hunter22", "somebody"):
        assert secret not in str(caught.value)
        assert secret not in stored
        assert secret not in "".join(model_labels([f"openai:{spec}", "openai:http://h/v1#m"]))
    assert identity_of("openai:http://u:p@host:8000/v1#m") == "openai:http://host/v1#m"
    assert identity_of("openai:http://host:9000/v1#m") == "openai:http://host/v1#m"
    assert identity_of("openai:http://u:p@[::1]:9000/v1#m") == "openai:http://[::1]/v1#m"


def test_a_user_in_the_url_is_sent_and_nothing_of_it_shown(server: tuple[str, Asked]) -> None:
    url, asked = server
    (done,) = OpenAIBackend(url.replace("//", "//me:pass%20word@") + "#m").generate(requests(1), SAMPLED)
    assert done.text
    assert asked[0]["authorization"] == "Basic bWU6cGFzcyB3b3Jk"  # printf 'me:pass word' | base64


@pytest.mark.parametrize(
    "source",
    [
        "http://host/v1?key=hunter22#m",
        "http://u:hun/hunter22@host/v1#m",
        "http://u:1/hunter22@host/v1#m",
        "http://u:hunter22@host:x/v1#m",
    ],
)
def test_a_source_that_is_refused_is_shown_without_its_secret(source: str) -> None:
    with pytest.raises(InputError) as caught:
        OpenAIBackend(source)
    assert "hunter22" not in str(caught.value) + identity_of(f"openai:{source}")


@pytest.mark.parametrize("key", ["sk-sec\nret", "sk-secrét"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError) as caught:
        OpenAIBackend("http://host/v1#m")
    assert "sk-sec" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["vllm:spec_decode_num_drafts_total inf\n", "<html>", "vllm:spec_decode_num_drafts_total"]
)
def test_counters_that_are_none_are_not_there(text: str) -> None:
    with completions_server(metrics=lambda: text) as (url, _):
        assert draft_counts(url) == {}
