"""Jobs, what is decoded of them so far, and the rows in which some are on their way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mtp_eval.harness.decoding.rows import Rows
from mtp_eval.harness.decoding.stopping import Stop


@dataclass(frozen=True, slots=True)
class Job:
    """One completion to be decoded.

    Args:
        index: the caller's name for it.
        prompt: token ids, at least one.
        seed: of its random numbers.
        max_new_tokens: at which it ends, 1 or more.
        stop: when else it ends.
    """

    index: int
    prompt: tuple[int, ...]
    seed: int
    max_new_tokens: int
    stop: Stop


@dataclass(slots=True)
class Decoded:
    """The tokens of a job so far, and their counts (see `tasks.problem.Completion`)."""

    job: Job
    tokens: list[int] = field(default_factory=list)
    reason: str = "length"
    n_forwards: int = 0
    n_drafted: list[int] = field(default_factory=list)
    n_accepted: list[int] = field(default_factory=list)
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, block: Sequence[int]) -> bool:
        """Append what a forward confirmed: kept drafts and the token after them. True when the completion has ended."""
        self.n_forwards += 1
        new = list(block[: self.job.max_new_tokens - len(self.tokens)])
        self.tokens += new
        end = self.job.stop.first_end(self.tokens, len(new))
        if end is not None:
            n, self.reason = end
            del new[len(new) - (len(self.tokens) - n) :]
            del self.tokens[n:]
        ended = end is not None or len(self.tokens) == self.job.max_new_tokens
        kept = min(len(block) - 1, len(new))
        judged = kept if ended and kept == len(new) else len(self.n_drafted)  # drafts past the end were never needed
        for j in range(judged):
            self.n_drafted[j] += 1
            self.n_accepted[j] += j < kept
        return ended


@dataclass(frozen=True, slots=True)
class Begun:
    """Completions that are on their way, to go on with.

    Args:
        rows: for the network that goes on.
        running: of each row, its completion so far; None where it is free.
        ended: completions that have ended already.
    """

    rows: Rows
    running: list[Decoded | None]
    ended: list[Decoded]

    def among(self, jobs: Sequence[Job]) -> Begun:
        """Those that are of these jobs, under their indices; rows of others are freed."""
        asked: dict[Job, list[Job]] = {}
        for job in jobs:
            asked.setdefault(replace(job, index=0), []).append(job)

        def found(one: Decoded | None) -> Decoded | None:
            same = asked.get(replace(one.job, index=0)) if one is not None else None
            return replace(one, job=same.pop(0)) if one is not None and same else None

        ended = [one for one in map(found, self.ended) if one is not None]
        running = list(map(found, self.running))
        if free := [b for b, one in enumerate(running) if one is None]:
            self.rows.stop(free)
        return Begun(self.rows, running, ended)


def longest_first(job: Job) -> tuple[int, tuple[int, ...]]:
    """Order of a queue: the cache is as large as it gets at once, and no long row is left alone at the end."""
    return -len(job.prompt) - job.max_new_tokens, job.prompt


def share_time(clock: tuple[float, float], rows: Sequence[Decoded]) -> None:
    """Divide the time since `clock` among these rows."""
    wall, cpu = time.perf_counter() - clock[0], time.process_time() - clock[1]
    for row in rows:
        row.wall_seconds += wall / len(rows)
        row.cpu_seconds += cpu / len(rows)
