"""Execution and generation on a Ray cluster are those of one machine, also when a node is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.backends.base import Backend, BackendOptions, Call
from mtp_eval.harness.backends.registry import open_backend
from mtp_eval.harness.cluster.backend import open_on
from mtp_eval.harness.cluster.executor import RayExecutor
from mtp_eval.harness.cluster.places import Places
from mtp_eval.harness.cluster.ray_cluster import Cluster
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.run import run
from mtp_eval.results.run import Run
from mtp_eval.sandbox import Program
from mtp_eval.tasks.problem import Request
from tests.harness.cluster.conftest import add_node
from tests.sandbox import test_executor_contract as contract
from tests.test_end_to_end import make_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
POOL = {"workers": None, "timeout_seconds": 20.0, "memory_bytes": 1 << 30, "isolation": "full"}


@pytest.fixture(scope="module")
def executor(nodes: Any) -> Iterator[RayExecutor]:
    with RayExecutor(Cluster("auto"), POOL) as opened:
        yield opened


CONTRACT = [
    contract.test_each_tag_comes_back_once_with_its_own_outcome,
    contract.test_a_program_submitted_twice_gives_two_outcomes,
    contract.test_nothing_is_left_after_a_drain,
    contract.test_run_keeps_the_order,
    contract.test_run_that_is_left_early_leaves_nothing_behind,
    contract.test_run_refuses_while_outcomes_are_uncollected,
    contract.test_wrong_answers_and_raised_errors_are_told_apart,
    contract.test_programs_do_not_see_one_another,
]


@pytest.mark.parametrize("test", CONTRACT, ids=lambda test: test.__name__.removeprefix("test_"))
def test_the_executor_keeps_to_the_contract(executor: RayExecutor, test: Any) -> None:
    test(executor)


def test_the_executor_says_how_programs_are_kept_from_the_hosts(executor: RayExecutor) -> None:
    assert executor.isolation == "full"
    assert set(executor.layers.values()) == {"on"}


REQUESTS = tuple(
    Request(f"p/{i}", sample, "def f(x):\n" * i, seed=7 * i + sample, max_new_tokens=12)
    for i in range(4)
    for sample in (0, 1)
)
SETTINGS = DecodingSettings(temperature=0.8, batch_size=3, decode="autoregressive")


@pytest.fixture
def model(nodes: Any, tmp_path: Path) -> Iterator[Backend]:
    opened = open_on(Places(Cluster("auto")), str(make_checkpoint(tmp_path / "tiny")), BackendOptions())
    yield opened
    opened.close()


def texts(backend: Backend, calls: list[Call]) -> dict[tuple[int, str, int], tuple[str, int]]:
    found = [(number, c) for number, c in backend.generate_each(calls)]
    by_key = {(number, c.problem_id, c.sample): (c.text, c.n_tokens) for number, c in found}
    assert len(by_key) == len(found)
    return by_key


def test_copies_of_a_model_answer_as_the_model_here(model: Backend, tmp_path: Path) -> None:
    here = open_backend(str(tmp_path / "tiny"))
    assert model.facts() == here.facts()
    assert model.name == here.name
    calls = [Call(REQUESTS[start : start + 2], SETTINGS) for start in range(0, 8, 2)]
    assert texts(model, calls) == texts(here, calls)
    choices = Call(REQUESTS, SETTINGS, {f"p/{i}": ("x", " yes") for i in range(4)})
    assert texts(model, [choices]) == texts(here, [choices])
    assert model.loglikelihood([("def", " f")])[0].nats == pytest.approx(here.loglikelihood([("def", " f")])[0].nats)


def test_a_stream_that_is_left_early_leaves_nothing_behind(model: Backend) -> None:
    stream = model.generate(REQUESTS, SETTINGS)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert Counter(c.problem_id for c in model.generate(REQUESTS, SETTINGS)) == {f"p/{i}": 2 for i in range(4)}


def test_models_that_cannot_be_opened_say_why(nodes: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint folder"):
        open_on(Places(Cluster("auto")), str(tmp_path / "nothing"), BackendOptions())


def evaluated(folder: Path, name: str, **options: Any) -> Run:
    return run(
        model=str(folder / "tiny"),
        task="humaneval,listops",
        limit=12,
        n_samples=4,
        k=[1, 4],
        temperature=1.0,
        max_new_tokens=16,
        shard_size=8,
        batch_size=4,
        decode="autoregressive",
        workers=1,
        out=folder / name,
        **options,
    )


def test_a_run_on_two_nodes_is_the_run_of_one_machine(nodes: Any, tmp_path: Path, benchmark_data: Path) -> None:
    make_checkpoint(tmp_path / "tiny")
    here, there = evaluated(tmp_path, "here"), evaluated(tmp_path, "there", cluster="auto")
    assert (tmp_path / "there/metrics.json").read_bytes() == (tmp_path / "here/metrics.json").read_bytes()
    assert {r.key: r.completion.text for r in there.records()} == {r.key: r.completion.text for r in here.records()}


def test_a_node_with_another_version_is_refused_by_name(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.0")
    with pytest.raises(InputError, match=r"node .*: mtp-eval .* is installed here, and 0\.0\.0"):
        RayExecutor(Cluster("auto"), POOL)


def test_an_error_of_a_model_on_a_node_says_where_it_was(nodes: Any, tmp_path: Path) -> None:
    opened = open_on(Places(Cluster("auto")), str(make_checkpoint(tmp_path / "tiny")), BackendOptions())
    with pytest.raises(AttributeError) as caught:
        list(opened.generate([Request("p", 0, 17, seed=1)], SETTINGS))  # type: ignore[arg-type]
    assert "Traceback" in caught.value.__notes__[0]
    opened.close()


def wait_until_alive(n: int) -> None:
    import ray

    while sum(node["Alive"] for node in ray.nodes()) != n:
        time.sleep(0.1)


def test_a_node_that_is_lost_in_the_middle_loses_and_doubles_nothing(
    nodes: Any, tmp_path: Path, benchmark_data: Path
) -> None:
    make_checkpoint(tmp_path / "tiny")
    evaluated(tmp_path, "here")
    third = add_node(nodes)
    journal = tmp_path / "there/records.jsonl"

    def kill() -> None:
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 8):
            time.sleep(0.05)
        nodes.remove_node(third, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    done = evaluated(tmp_path, "there", cluster="auto")
    killer.join()
    assert (tmp_path / "there/metrics.json").read_bytes() == (tmp_path / "here/metrics.json").read_bytes()
    assert Counter(record.key for record in done.records()).most_common(1)[0][1] == 1
    wait_until_alive(2)


def test_programs_of_a_lost_node_are_judged_elsewhere(nodes: Any) -> None:
    third = add_node(nodes)
    with RayExecutor(Cluster("auto"), POOL) as executor:
        for n in range(120):
            source = f"import time\ndef f():\n    time.sleep(0.05)\n    return {n}"
            executor.submit(Program(f"p{n}", source, f"assert f() == {n}"), n)
        found = executor.ready()
        nodes.remove_node(third, allow_graceful=False)
        found += executor.drain()
    assert Counter(tag for tag, _ in found) == dict.fromkeys(range(120), 1)
    assert all(outcome.passed for _, outcome in found)
    wait_until_alive(2)
