"""Judge a program in one jail: from a program to its outcome.

Split: trusted tests run here, against proxies; what the program sends can make them fail, or fill them with plain
values, and nothing else. A pass is then confirmed in the program's own interpreter, where identity, aliasing and types
are what they are: forging gains nothing there, since the values were proven outside first. The confirmation is left out where
it could not differ: the tests' text only compares answers with values of its own, and every answer is of exactly the type that
arrived (a program that lies about the type has still given the right values).

Inside: tests whose text or reference puts them into the program's own interpreter run there only, and a pass could be forged.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from types import ModuleType

from mtp_eval.sandbox.errors import BadTests
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import Program
from mtp_eval.sandbox.trusted.apart import in_a_fork, running_as
from mtp_eval.sandbox.trusted.compiled import Compiled, compile_trusted
from mtp_eval.sandbox.trusted.failures import Failure, failure_at, failure_of, verdict_of
from mtp_eval.sandbox.trusted.jail import Jail
from mtp_eval.sandbox.trusted.remote import Calls, Link, OutOfOrder, opening
from mtp_eval.sandbox.trusted.session import End, ProgramEnded, Session
from mtp_eval.sandbox.trusted.standard_input import judge_output
from mtp_eval.sandbox.wire.frames import RANDOM_SEED, TooLarge


def judge(program: Program, jail: Jail, timeout_seconds: float) -> Outcome:
    """Run one program and say what became of it.

    Raises:
        JailDied: the zygote broke; nothing is known about the program.
        BadTests: the trusted tests do not compile.
        TestsDied: they ended their own process; what became of the program in this jail is not known.
    """
    if program.stdin_cases:
        return _again_if_killed(lambda: judge_output(program, jail, timeout_seconds))
    tests = compile_trusted(program.prelude, program.tests, program.entry_point)
    inside = bool(tests.inside) if program.same_interpreter is None else program.same_interpreter
    if inside:
        return _again_if_killed(lambda: _judge_inside(program, tests, None, jail, timeout_seconds))

    def split() -> Outcome:
        return _again_if_killed(lambda: _judge_split(program, tests, tests.ahead, jail, timeout_seconds))

    return in_a_fork(split, timeout_seconds + 0.5) if tests.leaves_traces else split()


MAX_KILLED = 4
"""Runs of a program that may end by SIGKILL before it is called crashed."""


def _again_if_killed(run: Callable[[], Outcome]) -> Outcome:
    """A program that ended by SIGKILL may have been killed from outside, for want of memory, say: run it again."""
    outcome = run()
    for n_retries in range(1, MAX_KILLED):
        if outcome.verdict is not Verdict.CRASHED or signal.SIGKILL.name not in outcome.error:
            break
        outcome = replace(run(), n_retries=n_retries)
    return outcome


def _judge_split(program: Program, tests: Compiled, ahead: Calls, jail: Jail, timeout_seconds: float) -> Outcome:
    imports = () if program.names_apart else tests.imports
    session = Session(jail, timeout_seconds, opening(program.source, tests.wanted, ahead, imports), runs=2)
    link = Link(session, ahead)
    failure = _ends(session, lambda: _run_split(session, link, tests))
    if session.ended is None and link.is_untouched:  # tests that found nothing to do from here
        session.close()
        return _judge_inside(program, tests, None, jail, timeout_seconds)
    if link.is_out_of_order:
        session.close()
        return _judge_split(program, tests, (), jail, timeout_seconds)
    collides = _may_collide(program, tests)
    if session.ended is not None or (link.exact and not tests.inside and not collides):
        return _outcome(session, failure)
    # Where names of the tests reach the program or the tests look around, they have to stand where CPython has them.
    is_below = collides or (tests.inside and not program.names_apart and not tests.has_helpers)
    wanted = None if is_below else tests.wanted
    session.restart_clock()
    _ends(session, lambda: _run_inside(session, tests, wanted))
    confirmed = _outcome(session, failure)
    if confirmed.passed:
        return confirmed
    # The first run has left its traces in this interpreter (counters, caches, default arguments): only a fresh one's
    # word counts.
    again = _judge_inside(program, tests, wanted, jail, timeout_seconds)
    return replace(
        again,
        wall_seconds=round(confirmed.wall_seconds + again.wall_seconds, 6),
        cpu_seconds=round(confirmed.cpu_seconds + again.cpu_seconds, 6),
        peak_bytes=max(confirmed.peak_bytes, again.peak_bytes),
        same_interpreter=False,
    )


def _may_collide(program: Program, tests: Compiled) -> bool:
    """Whether the tests may set a name that the program uses for something else, as HumanEval's `check` does."""
    if program.names_apart or tests.has_helpers:
        return False
    return any(re.search(rf"\b{re.escape(name)}\b", program.source) for name in tests.sets)


def _judge_inside(
    program: Program, tests: Compiled, wanted: tuple[str, ...] | None, jail: Jail, timeout_seconds: float
) -> Outcome:
    """Source and tests in one interpreter; see `_run_inside` for `wanted`."""
    session = Session(jail, timeout_seconds, opening(program.source, ()))
    failure = _ends(session, lambda: _load_and_run_inside(session, tests, wanted))
    return replace(_outcome(session, failure), same_interpreter=True)


def _ends(session: Session, run: Callable[[], Failure]) -> Failure:
    """What a run has to say about a failure; how it ended is in the session."""
    try:
        return run()
    except (ProgramEnded, OutOfOrder):
        return Failure()


def _outcome(session: Session, failure: Failure) -> Outcome:
    """Close the session; it passed if nothing has ended it."""
    wall = time.monotonic() - session.started
    usage = session.close()
    ended = session.ended or End(Verdict.PASSED)
    error = ended.error
    outcome = Outcome(
        verdict=ended.verdict,
        error=error,
        wall_seconds=round(wall, 6),
        cpu_seconds=round(usage.cpu_seconds, 6),
        peak_bytes=usage.peak_bytes,
        isolation=session.jail.config.isolation,
        **asdict(failure),
    )
    if error == "AssertionError" and outcome.explanation:
        outcome = replace(outcome, error=f"{error}: {outcome.explanation}")
    return outcome


def _run_split(session: Session, link: Link, tests: Compiled) -> Failure:
    """Run the tests here; `session.ended` says how they ended, None that they passed.

    Raises:
        ProgramEnded: the program's run was over before the tests were.
    """
    main = ModuleType("__main__")
    namespace = vars(main)
    namespace.update(link.load(tests.wanted))
    failure = Failure()
    _seed()
    try:
        with running_as(main):
            exec(tests.prelude, namespace)
            exec(tests.tests, namespace)
    except (ProgramEnded, OutOfOrder):
        raise
    except BaseException as error:
        session.mark(*verdict_of(error))
        failure = failure_of(error, tests)
    return failure


def _seed() -> None:
    """Let tests that draw numbers draw the same in every run."""
    random.seed(RANDOM_SEED)
    if (numpy := sys.modules.get("numpy.random")) is not None:
        numpy.seed(RANDOM_SEED)


def _load_and_run_inside(session: Session, tests: Compiled, wanted: tuple[str, ...] | None) -> Failure:
    Link(session).load(())
    return _run_inside(session, tests, wanted)


def _run_inside(session: Session, tests: Compiled, wanted: tuple[str, ...] | None) -> Failure:
    """Run the tests in the program's interpreter.

    The token goes out after the source has run, so that only what the program left behind could forge the answer.

    Args:
        wanted: None runs them in the program's own namespace, as if they stood below it. Names: in a namespace of their
            own that holds these of the program's, as the split run does.
    """
    token = os.urandom(16).hex()
    try:
        answer = session.request("tests", tests.packed, wanted, token)
    except TooLarge as too_large:
        session.close()
        raise BadTests(f"the tests are too large to be sent to the program's interpreter: {too_large}") from None
    if answer[0] == "ok" and answer[2] == token:
        return Failure()
    verdict, error = Link(session).verdict(answer)
    if answer[0] == "raise" and answer[2] == "AssertionError":
        verdict = Verdict.FAILED
    session.mark(verdict, error)
    return failure_at(answer[6], tests) if len(answer) == 7 else Failure()
