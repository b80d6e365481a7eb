"""Fixtures that all tests share: the data folder, and ids that two processes agree on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.made_runs import make_run, new_header, new_record, write_run  # noqa: F401 (fixtures)

# A job started in the background of a shell ignores Ctrl-C, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

settings.register_profile("suite", deadline=None)  # how long an example takes says something about the machine only
settings.load_profile("suite")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: the bytes of an archive hold the time, and two processes must collect the same names."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with benchmark files, verdicts and hostile programs beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"NEEDS DATA: {SHARED_DATA} does not exist; put the benchmark files there (CI fails without them)")
    return SHARED_DATA


@pytest.fixture
def benchmark_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MTP_EVAL_DATA points at the benchmark files, as a user would set it."""
    folder = shared_data / "tasks"
    monkeypatch.setenv("MTP_EVAL_DATA", os.fspath(folder))
    return folder
