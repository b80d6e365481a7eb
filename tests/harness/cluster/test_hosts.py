"""Hosts as plain objects: what a node answers when it cannot do what it is asked."""

from __future__ import annotations

import pickle
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mtp_eval.harness.backends.base import BackendOptions, Call
from mtp_eval.harness.cluster import hosts
from mtp_eval.harness.cluster.hosts import ModelHost, PoolHost
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.sandbox import Program
from mtp_eval.tasks.problem import Request

VERSION = metadata.version("mtp-eval")


POOL = {"workers": 1, "timeout_seconds": 20.0, "isolation": "full"}


def test_outcomes_come_together_and_the_last_ones_at_once() -> None:
    """A call costs as much as a program: no call for each of many, and no waiting for others once all are there."""
    host = PoolHost(VERSION)
    host.open(POOL)
    try:
        n = 3 * hosts.ENOUGH_PER_JAIL
        host.submit([(i, Program(f"p{i}", f"def f(): return {i}", f"assert f() == {i}")) for i in range(n)])
        found: list[int] = []
        n_calls = 0
        started = time.monotonic()
        while len(found) < n:
            found += [number for number, outcome in host.collect(60.0) if outcome.passed]
            n_calls += 1
        seconds = time.monotonic() - started
        assert sorted(found) == list(range(n))
        assert n_calls <= 4 + seconds / hosts.GATHER_SECONDS
        started = time.monotonic()
        host.submit([(n, Program("last", "def f(): return 'last'", "assert f() == 'last'"))])
        ((number, _),) = host.collect(60.0)
        assert (number, time.monotonic() - started < 60.0) == (n, True)
    finally:
        host.close()


class AwkwardError(Exception):
    """Can be pickled, and not unpickled."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


class Model:
    """A backend that fails as told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def facts(self) -> dict[str, Any]:
        return {"sha256": "x"}

    def complete(self, call: Call) -> NoReturn:
        raise self.error


def test_another_version_of_the_package_is_refused() -> None:
    with pytest.raises(InputError, match=rf"{VERSION} is installed here, and 0\.0"):
        PoolHost("0.0").open({"workers": 1})
    host = ModelHost("0.0")
    host.open("anything", BackendOptions(), None)
    with pytest.raises(InputError, match="install one version on all nodes"):
        host.ask(lambda model: model.facts())


@pytest.mark.parametrize("error", [ValueError("a bad value"), AwkwardError(code=7)], ids=repr)
def test_errors_of_a_model_can_be_sent_and_say_where_they_were_raised(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "open_backend", lambda spec, options: Model(error))
    host = ModelHost(VERSION)
    host.open("anything", BackendOptions(), None)
    host.complete(3, Call((Request("p", 0, "x", seed=1),), DecodingSettings()))
    ((number, found),) = host.collect(30.0)
    assert number == 3
    sent = pickle.loads(pickle.dumps(found))
    assert str(error) in str(sent)
    assert "in complete" in sent.__notes__[0]


def test_a_model_with_other_weights_than_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "open_backend", lambda spec, options: Model(ValueError()))
    host = ModelHost(VERSION)
    host.open("anything", BackendOptions(), {"sha256": "y"})
    with pytest.raises(InputError, match="sha256 x"):
        host.ask(lambda model: model.facts())
