"""From completions to journalled records: programs go to the sandbox's pool, verdicts come back, lines are written.

Works while the next completions are being generated; what is finished is journalled at once.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.progress import Progress
from mtp_eval.results.record import Record, sha256_text
from mtp_eval.results.run import Run
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox import Executor
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.problem import Completion, Judgement, Problem, Program

REFUSED = "the server refused the prompt: "
MOST_SAID = 500
"""Characters of a server's refusal that are kept."""


@dataclass(frozen=True, slots=True)
class NoCompletion:
    """Why there is nothing to judge: what the server said that refused the prompt."""

    why: str

    @property
    def outcome(self) -> Outcome:
        """The verdict on it."""
        return Outcome(Verdict.NO_COMPLETION, error=f"{REFUSED}{self.why}"[:MOST_SAID])

    @classmethod
    def of(cls, completion: Completion) -> NoCompletion | None:
        """A `NoCompletion` where a server refused the prompt; None where there is a completion."""
        return cls(completion.refusal.removeprefix(REFUSED)) if completion.stop_reason == "refused" else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion on its way to a verdict.

    Args:
        judged: a program to execute; the judgement of a task that executes nothing; or a `NoCompletion`.
    """

    model: str
    task: str
    problem: Problem
    completion: Completion
    judged: Program | Judgement | NoCompletion
    temperature: float | None = None


def outcome_of(judgement: Judgement) -> Outcome:
    """The outcome of a completion that was judged without being executed."""
    return Outcome(Verdict.PASSED if judgement.passed else Verdict.FAILED, error=judgement.error)


def judged_text(judged: Program | Judgement | NoCompletion) -> str:
    """The text that was judged: the program's source, or the answer that was found."""
    match judged:
        case NoCompletion():
            return ""
        case Program():
            return judged.source
        case Judgement():
            return judged.extracted


def judge_all(judged: Iterable[Program | Judgement], pool: Executor) -> list[Outcome]:
    """Execute what is a program; the outcomes in the given order."""
    outcomes, n_judged, n_programs = dict[object, Outcome](), 0, 0
    for one in judged:
        match one:
            case Judgement():
                outcomes[n_judged] = outcome_of(one)
            case Program():
                pool.submit(one, tag=n_judged)
                outcomes.update(pool.ready())
                n_programs += 1
        n_judged += 1
    if n_programs:
        outcomes.update(pool.drain())
    return [outcomes[number] for number in range(n_judged)]


def judge_references(judged: Iterable[Program | Judgement], pool: Executor) -> list[Outcome]:
    """Execute reference solutions, by which the executor decides how their problems' completions are judged."""
    known: dict[int, Outcome] = {}

    def programs() -> Iterator[Program]:
        for number, one in enumerate(judged):
            match one:
                case Judgement():
                    known[number] = outcome_of(one)
                case Program():
                    yield one

    executed = list(pool.judge_references(programs()))
    left = iter(executed)
    return [known[number] if number in known else next(left) for number in range(len(known) + len(executed))]


def to_record(candidate: Candidate, outcome: Outcome) -> Record:
    """The journal's line of a judged completion."""
    return Record(
        model=candidate.model,
        task=candidate.task,
        prompt_sha256=sha256_text(candidate.problem.prompt),
        completion=candidate.completion,
        program=judged_text(candidate.judged),
        outcome=outcome,
        temperature=candidate.temperature,
        tags=dict(candidate.problem.tags),
    )


INTERRUPTED_SECONDS = 0.7
"""How long verdicts are still taken after Ctrl-C."""
JOURNAL_SECONDS = 0.05
"""Verdicts that arrive within this are written together: each write waits for the disk, which costs more than a program."""


class Judge:
    """Submits candidates to a pool and journals their records as verdicts arrive.

    `waiting_seconds` is the wall time in which nothing was done but wait for the sandbox; `execution_cpu_seconds` is what
    the programs used, each as often as it is in the journal.

    Args:
        progress: gets a step for each record, and a note on what is waited for most.
        generating_seconds: the wall time so far in which nothing was done but wait for completions.
    """

    def __init__(
        self,
        pool: Executor,
        store: RunStore,
        progress: Progress,
        generating_seconds: Callable[[], float] = float,
    ):
        self.pool, self.store, self.progress = pool, store, progress
        self.generating_seconds = generating_seconds
        self.waiting_seconds = 0.0
        self.execution_cpu_seconds = 0.0
        self.n_journalled = 0
        self._n_open = 0
        self._arrived: list[tuple[object, Outcome]] = []
        self._written_at = 0.0

    def judge_each(self, candidates: Iterable[Candidate]) -> None:
        """Judge each candidate as it comes. Where one cannot be made, those before it are still judged and journalled; on Ctrl-C, as
        many as are judged in a moment.
        """
        try:
            try:
                for candidate in candidates:
                    self.submit(candidate)
            except Exception:
                self.finish()
                raise
            self.finish()
        except KeyboardInterrupt:
            self._leave()
            raise

    def submit(self, candidate: Candidate) -> None:
        """Hand over one candidate, and journal whatever has been judged meanwhile."""
        self._n_open += 1
        match candidate.judged:
            case NoCompletion() as nothing:
                self._take([(candidate, nothing.outcome)])
            case Judgement() as judgement:
                self._take([(candidate, outcome_of(judgement))])
            case Program() as program:
                started = time.perf_counter()
                self.pool.submit(program, tag=candidate)
                self.waiting_seconds += time.perf_counter() - started
                self._take(self.pool.ready())

    def finish(self) -> None:
        """Wait for the verdicts still missing and journal them as they come."""
        started = time.perf_counter()
        try:
            for judged in self.pool.drain():
                self.waiting_seconds += time.perf_counter() - started
                self._take([judged])
                started = time.perf_counter()
        finally:
            self._journal()
        self.waiting_seconds += time.perf_counter() - started

    def _leave(self) -> None:
        """Journal what is judged within a moment: programs may run for seconds yet."""
        until = time.monotonic() + INTERRUPTED_SECONDS
        while self._n_open and time.monotonic() < until:
            self._take(self.pool.ready())
            time.sleep(0.01)
        self._journal()

    def _take(self, judged: Iterable[tuple[object, Outcome]]) -> None:
        judged = list(judged)
        self._n_open -= len(judged)
        self._arrived += judged
        if time.monotonic() - self._written_at >= JOURNAL_SECONDS:
            self._journal()

    def _journal(self) -> None:
        arrived, self._arrived = self._arrived, []
        records = [to_record(tag, outcome) for tag, outcome in arrived if isinstance(tag, Candidate)]
        if not records:
            return
        try:
            self.store.append(records)
        except OSError as error:
            raise journal_error(error, self.store) from error
        self._written_at = time.monotonic()
        self.n_journalled += len(records)
        self.execution_cpu_seconds += sum(record.outcome.cpu_seconds for record in records)
        self.progress.advance(len(records), bottleneck(self.generating_seconds(), self.waiting_seconds))


def bottleneck(generating_seconds: float, executing_seconds: float) -> str:
    """What a run waits for most, in a few words; nothing in the first second.

    >>> bottleneck(9.0, 1.0), bottleneck(1.0, 9.0), bottleneck(0.1, 0.0)
    ('bottleneck: generating (90 %)', 'bottleneck: executing (90 %)', '')
    """
    both, most = generating_seconds + executing_seconds, max(generating_seconds, executing_seconds)
    if both < 1.0:
        return ""
    name = "generating" if generating_seconds > executing_seconds else "executing"
    return f"bottleneck: {name} ({100 * most / both:.0f} %)"


def refuse_unjudged(run: Run, most: float) -> None:
    """Refuse to score a run in which the sandbox broke on too many programs.

    Args:
        most: the share of programs that may be left without a verdict of their own.

    Raises:
        MtpEvalError: there are more.
    """
    broken, n = sum(cell.n_broken for cell in run.cells), sum(cell.n_completions for cell in run.cells)
    if broken > most * n:
        raise MtpEvalError(
            f"the sandbox broke on {broken:,} of {n:,} programs ({broken / n:.1%}, of which --max-infrastructure-errors allows "
            f"{most:.1%}), so there is no score. The same command judges them again; the others are safe in {run.folder}"
        )


def journal_error(error: OSError, store: RunStore) -> MtpEvalError:
    """The error for a journal that cannot be written."""
    cause = "there is no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
    return MtpEvalError(
        f"the journal in {store.folder} cannot be written: {cause}. Every record written before is safe; "
        f"make room and run the same command again to continue"
    )
