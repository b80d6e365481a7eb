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

from mtp_eval.harness.backends.base import BackendOptions, Call
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.backends.registry import open_backend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.tasks.problem import Chat, Request
from tests.harness.backends.asking import SAMPLED, completed, requests
from tests.harness.backends.server import Asked, Reply, completions_server, echo


@pytest.fixture
def server() -> Iterator[tuple[str, Asked]]:
    with completions_server() as found:
        yield found


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


def test_a_server_that_refuses_n_is_asked_one_by_one() -> None:
    def single(body: dict[str, Any], number: int) -> Reply:
        return (400, {}, '{"error": "n must be 1"}') if "n" in body else echo(body)

    with completions_server(single) as (url, asked):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(samples_per_request=3, concurrency=1))
        done = list(backend.generate(requests(2, samples=3), SAMPLED))
    assert {c.stop_reason for c in done} == {"stop"}
    assert [a.get("n", 1) for a in asked] == [3, *[1] * 6], "and is not asked for several again"


def test_the_next_call_begins_before_the_last_answer_of_one() -> None:
    """Four calls of one request each: an answer comes when all four have been asked."""
    together = threading.Barrier(4)

    def patient(body: dict[str, Any], number: int) -> Reply:
        together.wait()
        return echo(body)

    with completions_server(patient) as (url, _):
        calls = [Call((request,), SAMPLED) for request in requests(4)]
        found = list(OpenAIBackend(f"{url}#m", BackendOptions(concurrency=4)).generate_each(calls))
    assert sorted((number, c.problem_id) for number, c in found) == [(n, f"p/{n}") for n in range(4)]


def test_no_more_is_asked_for_than_a_caller_takes(server: tuple[str, Asked]) -> None:
    url, asked = server
    stream = OpenAIBackend(f"{url}#m", BackendOptions(concurrency=3)).generate(requests(100), SAMPLED)
    next(stream)
    time.sleep(0.5)  # for it to ask too much
    assert len(asked) <= 1 + 2 * 3
    stream.close()  # type: ignore[attr-defined]


def test_models_that_count_their_reasoning_are_asked_as_they_want() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def reasoning(body: dict[str, Any], number: int) -> Reply:
        return (400, {}, json.dumps({"error": {"message": said}})) if "max_tokens" in body else echo(body)

    asking = [Request(f"p/{i}", 0, "shown", seed=i, max_new_tokens=9, chat=Chat("q", "a", "q")) for i in range(3)]
    with completions_server(reasoning) as (url, asked):
        done = list(OpenAIBackend(f"{url}#m", BackendOptions(concurrency=1)).generate(asking, SAMPLED))
    assert [c.stop_reason for c in done] == ["length"] * 3
    assert [a.get("max_completion_tokens") for a in asked] == [None, 9, 9, 9]


@pytest.mark.parametrize("message", [{"content": None}, {"content": None, "reasoning_content": "hm"}])
def test_a_chat_answer_that_was_all_reasoning_is_an_empty_text(message: dict[str, Any]) -> None:
    reason = "stop" if len(message) > 1 else "length"
    answer = json.dumps({"choices": [{"message": message, "finish_reason": reason}]})
    chat = Request("p/0", 0, "shown", seed=1, chat=Chat("q", "a", "q"))
    with completions_server(lambda body, number: (200, {}, answer)) as (url, _):
        (done,) = OpenAIBackend(f"{url}#m").generate([chat], SAMPLED)
    assert (done.text, done.stop_reason) == ("", reason)


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


def test_a_server_whose_stop_strings_reach_back_into_the_prompt_is_asked_again_without_them() -> None:
    """As `transformers serve` does: a text that begins with "def" behind a line break was one token long."""
    text = "def f():\n    return 1\n\ndef g(): pass"

    def answer(body: dict[str, Any], number: int) -> Reply:
        said = body["prompt"] + text
        ends = [
            said.find(stop, len(body["prompt"]) - len(stop) + 1) + len(stop)
            for stop in body.get("stop") or ()
            if stop in said
        ]
        cut = said[len(body["prompt"]) : min(ends, default=None)]
        choice = {"index": 0, "text": cut, "finish_reason": "stop", "logprobs": None}
        return 200, {}, json.dumps({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

    prompts = {"a": "x = 1\n", "b": "x = 1"}
    with completions_server(answer) as (url, asked):
        wanted = [Request(name, 0, prompt, 1, ("\nclass", "\ndef"), 50) for name, prompt in prompts.items()]
        done = {c.problem_id: c for c in OpenAIBackend(f"{url}#m").generate(wanted, DecodingSettings())}
    assert {name: found.text for name, found in done.items()} == dict.fromkeys(prompts, "def f():\n    return 1\n")
    assert sorted((body["prompt"], "stop" in body) for body in asked) == [
        ("x = 1", True), ("x = 1\n", False), ("x = 1\n", True),
    ]  # fmt: skip
