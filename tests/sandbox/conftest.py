"""One pool for all tests that only need verdicts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtp_eval.sandbox.pool import Pool

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode: helpers beside the tests


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool(workers=2, timeout_seconds=5.0, memory_bytes=512 << 20) as pool:
        yield pool
