"""Tests that need an optional library are skipped without it, and nothing is imported to find out: every process collects all tests."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def needs(library: str, extra: str = "test") -> None:
    """Skip the module that calls this, unless the library is installed."""
    if find_spec(library) is None:
        reason = f"NEEDS {library.upper()}: pip install 'mtp-eval[{extra}]' (the test extra has it)"
        pytest.skip(reason, allow_module_level=True)
