"""`Executor`: whatever runs programs and says what became of them. The local `Pool` is one, a cluster can be another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Self

from mtp_eval.sandbox.errors import SandboxError
from mtp_eval.sandbox.outcome import Outcome
from mtp_eval.sandbox.program import Program


class Executor(ABC):
    """Runs programs: `submit` them with tags, collect (tag, outcome) pairs with `ready` and `drain`, in any order.

    Three methods and a name are all that an implementation needs. One that runs each program where it stands:

        class RunHere(Executor):
            isolation = "none"

            def __init__(self) -> None:
                self._finished: list[tuple[Hashable, Outcome]] = []

            def submit(self, program: Program, tag: Hashable) -> None:
                verdict, error = Verdict.PASSED, ""
                try:
                    exec(program.prelude + "\\n" + program.source + "\\n" + program.tests, {"__name__": "__main__"})
                except BaseException as raised:
                    verdict = Verdict.FAILED if isinstance(raised, AssertionError) else Verdict.ERROR
                    error = f"{type(raised).__name__}: {raised}"
                self._finished.append((tag, Outcome(verdict, error, isolation=self.isolation)))

            def ready(self) -> list[tuple[Hashable, Outcome]]:
                finished, self._finished = self._finished, []
                return finished

            def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
                yield from self.ready()

    What every implementation keeps to, and tests/sandbox/test_executor_contract.py checks: each submitted program gives
    exactly one outcome, under its own tag; programs do not see one another; what goes wrong in the executor itself is
    `Verdict.INFRASTRUCTURE_ERROR`, never a wrong answer.
    """

    isolation: str = "none"
    """What keeps programs from the host, in a word; it stands in every table and in every outcome."""
    layers: Mapping[str, str] = MappingProxyType({})
    """The layers of protection in force, each with "on" or the reason why it is off."""

    @abstractmethod
    def submit(self, program: Program, tag: Hashable) -> None:
        """Queue a program; its outcome comes back with the tag. May wait while the queue is full.

        Raises:
            SandboxError: the executor was closed.
        """

    @abstractmethod
    def ready(self) -> list[tuple[Hashable, Outcome]]:
        """The outcomes that have arrived and were not collected yet; never waits."""

    @abstractmethod
    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        """All outcomes not collected yet, each as soon as it arrives; ends when none is left.

        Raises:
            SandboxError: the executor was closed while outcomes were missing.
        """

    def cancel(self) -> None:  # noqa: B027 -- a default, not something forgotten
        """Give up programs that have not begun, where that can be done; their outcomes still come back."""

    def close(self) -> None:  # noqa: B027
        """End everything that was started. Outcomes not collected are lost."""

    def decided(self, program: Program) -> Program:
        """The program as it would be run, with what this executor has decided about it; by default as it is."""
        return program

    def judge_references(self, references: Iterable[Program]) -> Iterator[Outcome]:
        """Run problems' reference solutions, before any completion of these problems is looked at.

        By default they are run as any program. `sandbox.by_reference` decides by them how the problems are judged.
        """
        return self.run(references)

    def run(self, programs: Iterable[Program]) -> Iterator[Outcome]:
        """The outcomes of the programs, in their order, while later ones are still running.

        Raises:
            ValueError: outcomes of earlier submissions were not collected.
        """
        arrived: dict[int, Outcome] = {}
        n_given = n_yielded = 0

        def take(pairs: Iterable[tuple[Hashable, Outcome]]) -> None:
            for tag, outcome in pairs:
                if type(tag) is not _RunTag:
                    raise ValueError("submitted programs are not collected yet; call drain() before run()")
                arrived[tag.number] = outcome

        try:
            take(self.ready())
            for n_given, program in enumerate(programs, 1):
                self.submit(program, _RunTag(n_given - 1))
                take(self.ready())
                while n_yielded in arrived:
                    yield arrived.pop(n_yielded)
                    n_yielded += 1
            for pair in self.drain():
                take([pair])
                while n_yielded in arrived:
                    yield arrived.pop(n_yielded)
                    n_yielded += 1
        finally:
            if n_yielded < n_given:  # the caller stopped early
                self.cancel()
                with suppress(SandboxError):  # it was closed meanwhile
                    for _ in self.drain():
                        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _RunTag:
    """The tag of a program that `run` has submitted."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number
