"""A verdict is the same in every run, also of programs and tests that draw random numbers."""

from __future__ import annotations

import pytest

from mtp_eval.sandbox import Pool, Program

PROGRAMS = [
    Program(
        "its own draws", "import random\ndef f(): return [random.random(), random.getrandbits(64)]", "assert f() == 0"
    ),
    Program(
        "drawn while loading",
        "from random import shuffle\nx = list(range(50))\nshuffle(x)\ndef f(): return x",
        "assert f() == 0",
    ),
    Program("numpy's", "import numpy as np\ndef f(): return np.random.rand(3).tolist()", "assert f() == 0"),
    Program(
        "the tests'",
        "def f(x): return x",
        "import random\nassert f(random.random()) == [random.random(), random.choice('abcdef')]",
    ),
    Program("inside", "def f(): pass", "import random\nraise ValueError(random.random())", same_interpreter=True),
]


def errors(order: list[Program], isolation: str) -> dict[str, str]:
    """What each program failed with, in a pool of its own."""
    with Pool(workers=1, timeout_seconds=30.0, isolation=isolation) as pool:
        return {program.problem_id: outcome.error for program, outcome in zip(order, pool.run(order), strict=True)}


@pytest.mark.parametrize("isolation", ["full", "process"])
def test_draws_are_the_same_in_every_run_and_order(isolation: str) -> None:
    once, again = errors(PROGRAMS, isolation), errors(PROGRAMS[::-1], isolation)
    assert all("got" in error or error.startswith("ValueError: 0.") for error in once.values()), once
    assert once == again


def test_seeding_is_not_to_be_seen_in_the_module() -> None:
    source = (
        "import random, importlib.machinery\n"
        "def f():\n"
        "    r = random.Random(); r.seed(0)\n"
        "    loaders = {type(random.__loader__), type(random.__spec__.loader)}\n"
        "    return random.random() == r.random(), loaders == {importlib.machinery.SourceFileLoader}, random.__spec__.name\n"
    )
    with Pool(workers=1, timeout_seconds=30.0) as pool:
        (outcome,) = pool.run([Program("loader", source, "assert f() == (True, True, 'random')")])
    assert outcome.passed, outcome


def test_who_asks_the_system_gets_other_numbers_every_time() -> None:
    source = "import secrets, random\ndef f(): return [secrets.token_hex(8), random.SystemRandom().random()]"
    program = Program("system", source, "assert f() == 0")
    assert errors([program], "full") != errors([program], "full")
