"""Judging as candidates come, and what becomes of them when their source fails or Ctrl-C is pressed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from mtp_eval.harness.evaluation.judging import Candidate, Judge
from mtp_eval.harness.progress import progress
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox import Executor, Outcome, Program, Verdict
from mtp_eval.tasks.problem import Completion, Problem
from tests.made_runs import NewHeader


class Slow(Executor):
    """Judges every second program at once, and the others when it is drained."""

    def __init__(self) -> None:
        self.finished: list[tuple[Hashable, Outcome]] = []
        self.late: list[tuple[Hashable, Outcome]] = []
        self.n = 0

    def submit(self, program: Program, tag: Hashable) -> None:
        self.n += 1
        (self.late if self.n % 2 else self.finished).append((tag, Outcome(Verdict.PASSED)))

    def ready(self) -> list[tuple[Hashable, Outcome]]:
        found, self.finished = self.finished, []
        return found

    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        yield from self.ready()
        found, self.late = self.late, []
        yield from found


def candidates(n: int, error: BaseException) -> Iterator[Candidate]:
    for number in range(n):
        problem = Problem(f"p/{number}", "", "")
        yield Candidate("m", "t", problem, Completion(f"p/{number}", 0, "x"), Program(f"p/{number}", "x", "y"))
    raise error


@pytest.mark.parametrize(("error", "n_kept"), [(ValueError("the server is gone"), 6), (KeyboardInterrupt(), 3)])
def test_what_was_judged_is_kept_and_only_ctrl_c_does_not_wait_for_the_rest(
    error: BaseException, n_kept: int, tmp_path: Path, new_header: NewHeader
) -> None:
    with RunStore.open(tmp_path / "run", new_header(["m"], {"t": {}})) as store, progress("judged", 6) as shown:
        judge = Judge(Slow(), store, shown)
        with pytest.raises(type(error)):
            judge.judge_each(candidates(6, error))
        assert len(store.keys()) == n_kept == judge.n_journalled
