"""The openai: backend against a small server of the same protocol on this machine, kind and unkind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.backends.registry import identity_of, model_labels, open_backend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.tasks.problem import Chat, Completion, Request
from tests.harness.backends.server import Answer, Asked, Reply, completions_server, echo

SAMPLED = DecodingSettings(temperature=0.5)


@pytest.fixture
def server() -> Iterator[tuple[str, Asked]]:
    with completions_server() as found:
        yield found


def requests(n: int, samples: int = 1) -> list[Request]:
    return [
        Request(f"p/{i}", sample, f"say w{i}", seed=2**62 + 10 * i + sample, stop=("\nSTOP5",), max_new_tokens=9)
        for i in range(n)
        for sample in range(samples)
    ]


def completed(answer: Answer, n: int = 4, **options: Any) -> tuple[dict[str, Completion], Asked]:
    """All completions by problem, of a server that answers so, and what it was asked."""
    with completions_server(answer) as (url, asked):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(**options))
        done = {c.problem_id: c for c in backend.generate(requests(n), SAMPLED)}
    return done, asked


def test_requests_carry_the_settings_and_stops_beyond_four_are_cut_here(server: tuple[str, Asked]) -> None:
    url, asked = server
    stops = ("S1", "S2", "S3", "S4", "\nSTOP5")
    wanted = [Request(f"p/{i}", 0, f"say w{i}", seed=i, stop=stops, max_new_tokens=9) for i in range(5)]
    done = {c.problem_id: c for c in OpenAIBackend(f"{url}#m").generate(wanted, SAMPLED)}
    assert {name: c.text for name, c in done.items()} == {f"p/{i}": f" w{i}" for i in range(5)}
    assert {c.stop_reason for c in done.values()} == {"stop"}
    assert (done["p/0"].n_tokens, done["p/0"].prompt_tokens) == (3, 7)
    assert all(a["max_tokens"] == 9 and a["temperature"] == 0.5 and len(a["stop"]) == 4 for a in asked)
    assert sorted(a["seed"] for a in asked) == list(range(5))


def test_seeds_are_small_enough_for_every_server(server: tuple[str, Asked]) -> None:
    list(OpenAIBackend(f"{server[0]}#m").generate(requests(6), SAMPLED))
    seeds = [a["seed"] for a in server[1]]
    assert len(set(seeds)) == 6
    assert max(seeds) < 2**31


def test_a_chat_is_asked_as_a_message_after_the_system_prompt_and_nothing_is_cut(server: tuple[str, Asked]) -> None:
    url, asked = server
    chat = Chat("question\n", "answer\n```python\n", "question alone")
    request = Request("p/0", 0, "shown", seed=1, stop=("\nSTOP5",), max_new_tokens=9, chat=chat)
    (done,) = open_backend(f"openai:{url}#m").generate([request], SAMPLED)
    assert done.text == " alone\nSTOP5 beyond"
    backend = open_backend(f"openai:{url}#m", BackendOptions(system="Be brief."))
    assert next(backend.generate([request], SAMPLED)).text == done.text
    first, second = (body["messages"] for body in asked)
    assert first == [{"role": "user", "content": "question alone"}]
    assert second == [{"role": "system", "content": "Be brief."}, *first]
    assert asked[0]["path"].endswith("/chat/completions")
    assert (asked[0].get("stop"), asked[0]["max_tokens"], asked[0]["seed"]) == (None, 9, 1)
    assert "system_sha256" in backend.facts()


def test_several_samples_of_a_prompt_can_be_asked_for_together(server: tuple[str, Asked]) -> None:
    url, asked = server
    backend = OpenAIBackend(f"{url}#m", BackendOptions(samples_per_request=4))
    done = list(backend.generate(requests(2, samples=6), SAMPLED))
    assert len({(c.problem_id, c.sample) for c in done}) == 12
    assert sorted(a.get("n", 1) for a in asked) == [2, 2, 4, 4]
    assert {c.n_tokens for c in done} == {3}
    asked.clear()
    list(backend.generate(requests(2, samples=2), DecodingSettings()))
    assert [a.get("n", 1) for a in asked] == [1] * 4  # greedy samples would be equal


def test_a_server_that_ignores_n_is_asked_for_the_rest() -> None:
    def one_only(body: dict[str, Any], number: int) -> Reply:
        return echo({**body, "n": 1})

    with completions_server(one_only) as (url, asked):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(samples_per_request=3))
        done = list(backend.generate(requests(1, samples=3), SAMPLED))
    assert sorted(c.sample for c in done) == [0, 1, 2]
    assert len(asked) == 3


def test_no_more_requests_are_under_way_than_asked_for() -> None:
    now, most = [0], [0]
    changed = threading.Condition()

    def counting(body: dict[str, Any], number: int) -> Reply:
        with changed:
            now[0] += 1
            most[0] = max(most[0], now[0])
            changed.notify_all()
            changed.wait_for(lambda: most[0] > 1)  # for ever, if they come one by one
        time.sleep(0.05)
        with changed:
            now[0] -= 1
        return echo(body)

    done, _ = completed(counting, n=12, concurrency=3)
    assert len(done) == 12
    assert most[0] <= 3


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
}


@pytest.mark.parametrize("name", MALFORMED)
def test_an_answer_that_is_none_is_asked_for_again_and_then_named(name: str) -> None:
    done, asked = completed(lambda body, number: MALFORMED[name] if number < 2 else echo(body), n=3)
    assert {c.text for c in done.values()} == {" w0", " w1", " w2"}
    assert len(asked) == 5
    with pytest.raises(MtpEvalError, match=r"did not complete p/0: (the answer|a choice)"):
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


@pytest.mark.parametrize("fault", [(429, {"Retry-After": "0"}, "{}"), (500, {}, "oops"), (503, {}, ""), "reset"])
def test_a_busy_or_broken_server_is_asked_again(fault: Reply | str) -> None:
    done, asked = completed(lambda body, number: fault if number < 2 else echo(body), n=2)
    assert {c.text for c in done.values()} == {" w0", " w1"}
    assert len(asked) == 4


def test_a_server_that_hangs_is_given_up_after_the_timeout() -> None:
    with completions_server(lambda body, number: "hang") as (url, _):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(timeout_seconds=0.3), retries=1)
        with pytest.raises(MtpEvalError, match="timed out"):
            list(backend.generate(requests(2), SAMPLED))


INTERRUPTED = """
import sys
sys.path.insert(0, {root!r})
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Request
print("asking", flush=True)
try:
    list(OpenAIBackend({spec!r}).generate([Request(str(i), 0, "x", i) for i in range(50)], DecodingSettings()))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_ends_a_run_on_a_server_that_hangs(tmp_path: Path) -> None:
    with completions_server(lambda body, number: "hang") as (url, asked):
        program = INTERRUPTED.format(root=str(Path(__file__).parents[3]), spec=f"{url}#m")
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        while not asked:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate() == ("interrupted\n", ""), "while the server still hangs"


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


def test_how_a_server_is_asked_is_no_part_of_a_runs_identity() -> None:
    one = RunConfig(model=("openai:http://a:1/v1#m",), task=("mbpp",), concurrency=3)
    two = RunConfig(model=("openai:http://a:2/v1#m",), task=("mbpp",), request_timeout=9)
    assert one.result_relevant() == two.result_relevant()


@pytest.mark.parametrize(
    "source", ["http://localhost:8000/v1", "localhost#m", "http://#m", "http://x:port/v1#m", "#m", "ftp://x#m"]
)
def test_sources_that_name_no_server_and_model_are_refused(source: str) -> None:
    with pytest.raises(InputError, match="openai:URL#MODEL"):
        OpenAIBackend(source)


def test_settings_that_the_protocol_lacks_are_refused(server: tuple[str, Asked]) -> None:
    backend = OpenAIBackend(f"{server[0]}#m")
    for settings in (DecodingSettings(top_k=5), DecodingSettings(decode="self-speculative")):
        with pytest.raises(InputError):
            next(backend.generate(requests(1), settings))


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    backend = OpenAIBackend("http://127.0.0.1:9/v1#m", retries=0)
    with pytest.raises(MtpEvalError, match=r"the server at http://127.0.0.1:9/v1 did not complete p/0"):
        next(backend.generate(requests(1), DecodingSettings()))
