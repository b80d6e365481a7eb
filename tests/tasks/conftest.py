"""The sandbox that programs of tasks are judged in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mtp_eval.sandbox.pool import Pool


@pytest.fixture(scope="package")
def pool() -> Iterator[Pool]:
    """Two workers for all tests of tasks in one process."""
    with Pool(workers=2, timeout_seconds=10.0) as opened:
        yield opened
