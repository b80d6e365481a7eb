"""One pool for all tests that only need verdicts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mtp_eval.sandbox.pool import Pool


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool(workers=2, timeout_seconds=5.0, memory_bytes=512 << 20) as pool:
        yield pool
