"""Decoding of a list of jobs in one batch whose rows start, advance and finish on their own.

The invariant of a row between two steps: its last token is known but has not been run; the drafts for the places
after it are guesses of heads 2..k. A step runs [last token, drafts], lets head 1 choose the token after each of them,
keeps the drafts that agree with that choice and the first choice that no draft foresaw, and drafts again from the
last token it keeps. With k = 1 there are no drafts, and this is plain decoding.

Because head 1's choice is a function of (logits, seed, place), drafting changes neither greedy nor sampled
completions; it only changes how many of them a forward confirms.

Shapes: B batch rows, T block (the last token and its drafts), J drafts, S slots.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from mtp_eval.harness.decoding.network import Network, Prefix
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.stopping import Stop

_SLOT_STEP = 64  # attention looks at a multiple of this many slots


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
    """What became of a job; see `tasks.problem.Completion` for the counts."""

    job: Job
    tokens: list[int] = field(default_factory=list)
    reason: str = "length"
    n_forwards: int = 0
    n_drafted: list[int] = field(default_factory=list)
    n_accepted: list[int] = field(default_factory=list)
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, block: Sequence[int], n_drafts: int) -> bool:
        """Append the tokens that a forward confirmed, the last of which was not drafted; true when it has ended."""
        self.n_forwards += 1
        new = list(block[: self.job.max_new_tokens - len(self.tokens)])
        self.tokens += new
        end = self.job.stop.first_end(self.tokens, len(new))
        if end is not None:
            n, self.reason = end
            new = new[: len(new) - (len(self.tokens) - n)]
            del self.tokens[n:]
        ended = end is not None or len(self.tokens) == self.job.max_new_tokens
        accepted = min(len(block) - 1, len(new))
        judged = len(new) if ended and accepted == len(new) else n_drafts
        for j in range(min(judged, n_drafts)):
            self.n_drafted[j] += 1
            self.n_accepted[j] += j < accepted
        return ended


class Engine:
    """Decodes jobs with one network and one sampler."""

    def __init__(self, network: Network, sampler: Sampler, batch_size: int):
        self.network, self.sampler, self.batch_size = network, sampler, batch_size
        self.device = network.device
        self.J = network.draft_heads - 1

    @torch.inference_mode()
    def run(self, jobs: Sequence[Job]) -> Iterator[Decoded]:
        """Every job once, each as soon as it is finished."""
        if not jobs:
            return
        # Long jobs first: the cache is as large as it gets at once, and no long row is left alone at the end.
        queue = deque(sorted(jobs, key=lambda job: (-len(job.prompt) - job.max_new_tokens, job.prompt)))
        batch = min(self.batch_size, len(queue))
        slots = max(len(job.prompt) + job.max_new_tokens for job in queue) + self.J
        self._allocate(batch, _round_up(slots))
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        while queue or any(self._rows):
            start = time.perf_counter(), time.process_time()
            self._admit(queue)
            ended = self._step()
            self._share_time(start, ended)
            yield from ended
            if not queue:
                self._shrink()

    def _allocate(self, batch: int, slots: int) -> None:
        self.network.allocate(batch, slots)
        self._rows: list[Decoded | None] = [None] * batch
        new = {"dtype": torch.long, "device": self.device}
        self._tokens_BS = torch.zeros(batch, slots, **new)  # type: ignore[arg-type]
        self._lengths_B = torch.ones(batch, **new)  # type: ignore[arg-type]
        self._starts_B = torch.ones(batch, **new)  # type: ignore[arg-type]
        self._keys_B = torch.zeros(batch, **new)  # type: ignore[arg-type]
        self._drafts_BJ = torch.zeros(batch, self.J, **new)  # type: ignore[arg-type]

    def _admit(self, queue: deque[Job]) -> None:
        free = [b for b, row in enumerate(self._rows) if row is None]
        jobs = [queue.popleft() for _ in range(min(len(free), len(queue)))]
        if not jobs:
            return
        missing = [prompt for prompt in dict.fromkeys(job.prompt for job in jobs) if prompt not in self._prefixes]
        if missing:
            prefixes = self.network.prefill([list(prompt[:-1]) for prompt in missing])
            self._prefixes |= dict(zip(missing, prefixes, strict=True))
        for b, job in zip(free, jobs, strict=False):
            self._start_row(b, job, self._prefixes[job.prompt])
        waiting = {job.prompt for job in queue}
        self._prefixes = {prompt: prefix for prompt, prefix in self._prefixes.items() if prompt in waiting}

    def _start_row(self, b: int, job: Job, prefix: Prefix) -> None:
        self._rows[b] = Decoded(job, n_drafted=[0] * self.J, n_accepted=[0] * self.J)
        n = len(job.prompt)
        self.network.admit(b, prefix)
        self._tokens_BS[b, :n] = torch.tensor(job.prompt, device=self.device)
        self._lengths_B[b] = self._starts_B[b] = n
        self._keys_B[b] = row_key(job.seed)
        if self.J:
            places_1J = torch.arange(self.J, device=self.device)[None]
            self._drafts_BJ[b] = self.sampler.pick(prefix.draft_logits[None], self._keys_B[b, None], places_1J)[0]

    def _step(self) -> list[Decoded]:
        """One forward for every row; returns the jobs that ended."""
        positions_BT = self._lengths_B[:, None] - 1 + torch.arange(self.J + 1, device=self.device)
        last_B1 = self._tokens_BS.gather(1, positions_BT[:, :1])
        block_BT = torch.cat([last_B1, self._drafts_BJ], dim=1)
        slots = min(_round_up(int(positions_BT.max()) + 1), self._tokens_BS.shape[1])
        logits_BTV, heads = self.network.verify(block_BT, positions_BT, slots)
        places_BT = positions_BT + 1 - self._starts_B[:, None]
        chosen_BT = self.sampler.pick(logits_BTV, self._keys_B, places_BT)
        accepted_B = (self._drafts_BJ == chosen_BT[:, :-1]).long().cumprod(dim=1).sum(dim=1)
        self._tokens_BS.scatter_(1, (positions_BT + 1).clamp(max=self._tokens_BS.shape[1] - 1), chosen_BT)
        self._lengths_B += accepted_B + 1
        if self.J:
            self._drafts_BJ = self.sampler.pick(
                self.network.draft(heads, accepted_B), self._keys_B, places_BT[:, 1:] + accepted_B[:, None]
            )
        ended = []
        for b, (block, accepted) in enumerate(zip(chosen_BT.tolist(), accepted_B.tolist(), strict=True)):
            row = self._rows[b]
            if row is not None and row.add(block[: accepted + 1], self.J):
                ended.append(row)
                self._release(b)
            elif row is None:
                self._release(b)
        return ended

    def _release(self, b: int) -> None:
        self._rows[b] = None
        self._lengths_B[b] = self._starts_B[b] = 1  # an idle row runs along at position 0

    def _shrink(self) -> None:
        """Once nothing waits and half of the rows are idle, go on with a smaller batch."""
        busy = [b for b, row in enumerate(self._rows) if row is not None]
        if not busy or 2 * len(busy) > len(self._rows):
            return
        rows_B = torch.tensor(busy, device=self.device)
        self.network.keep(rows_B)
        self._rows = [self._rows[b] for b in busy]
        self._tokens_BS, self._lengths_B = self._tokens_BS[rows_B], self._lengths_B[rows_B]
        self._starts_B, self._keys_B = self._starts_B[rows_B], self._keys_B[rows_B]
        self._drafts_BJ = self._drafts_BJ[rows_B]

    def _share_time(self, start: tuple[float, float], ended: list[Decoded]) -> None:
        rows = [row for row in self._rows if row is not None] + ended
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        for row in rows:
            row.wall_seconds += wall / len(rows)
            row.cpu_seconds += cpu / len(rows)


def _round_up(slots: int) -> int:
    return -(-slots // _SLOT_STEP) * _SLOT_STEP
