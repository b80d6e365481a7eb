"""Decoding of a list of jobs in one batch whose rows start, advance and finish on their own.

The host's part: prompts are run once for all samples of a problem, free rows take the next jobs, blocks of new tokens are
cut where a completion ends, and when memory runs out the batch is halved and its jobs begin again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import torch

from mtp_eval.harness.decoding.acceptance import Rule
from mtp_eval.harness.decoding.jobs import Begun, Decoded, Job, longest_first, share_time
from mtp_eval.harness.decoding.network import Network, Prefix
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.rows import Rows, rounded_capacity
from mtp_eval.harness.errors import InputError

log = logging.getLogger(__name__)

_STEPS_AT_ONCE = {"cpu": 1, "cuda": 4}  # between two looks of the host at the results


class Engine:
    """Decodes jobs with one network and one rule.

    Args:
        network: the model with the heads that are used.
        rule: how tokens are chosen and drafts judged.
        batch_size: rows decoded together at most.
        cache_bytes: what keys and values may take at most; more rows than fit wait.
    """

    def __init__(self, network: Network, rule: Rule, batch_size: int, cache_bytes: int):
        self.network, self.rule = network, rule
        self.batch_size, self.cache_bytes = batch_size, cache_bytes
        self.steps_at_once = _STEPS_AT_ONCE.get(network.device.type, 1)
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        self._rows: Rows | None = None  # kept between runs on a GPU, with the graphs recorded for them

    def run(
        self,
        jobs: Sequence[Job],
        prefixes: Mapping[tuple[int, ...], Prefix] | None = None,
        begun: Begun | None = None,
    ) -> Iterator[Decoded]:
        """Decode every job once, yielding each as soon as it is finished.

        Args:
            prefixes: prompts that have been run already.
            begun: some of the jobs, gone on with where they have the rows that all of them need.
        """
        self._prefixes |= {prompt: prefix.of_first(self.network) for prompt, prefix in (prefixes or {}).items()}
        queue = deque(sorted(jobs, key=longest_first))
        rows, running = None, list[Decoded | None]()
        if begun is not None and queue and self._can_go_on(begun.rows, queue):
            with torch.inference_mode():
                begun = begun.among(jobs)
            rows, running = begun.rows, begun.running
            on_their_way = {one.job.index for one in [*begun.ended, *running] if one is not None}
            queue = deque(job for job in queue if job.index not in on_their_way)
            yield from begun.ended
        while queue or any(running):
            if rows is None:
                running = [None] * min(self.batch_size, len(queue), self._fitting(queue[0]))
            batch = len(running)
            try:
                yield from self._run(queue, running, rows)
            except RuntimeError as error:  # torch.OutOfMemoryError is one; a CPU's allocator has no class of its own
                if not _is_out_of_memory(error):
                    raise
                self._retreat(error, batch)
                queue.extendleft(row.job for row in reversed(running) if row is not None)
                running = []
            rows = None

    def room_for(self, jobs: Sequence[Job]) -> int:
        """Slots of each row if these jobs are decoded side by side; 0 where memory is too small for that."""
        longest = min(jobs, key=longest_first)
        return self._capacity(longest) if self._fitting(longest) >= len(jobs) else 0

    def _can_go_on(self, rows: Rows, queue: Sequence[Job]) -> bool:
        """Whether these rows are as many, and as long, as would be taken for the queue."""
        batch = min(self.batch_size, len(queue), self._fitting(queue[0]))
        return rows.batch == batch and rows.capacity >= self._capacity(queue[0])

    def _fitting(self, longest: Job) -> int:
        per_row = self.network.cache_bytes(1, self._capacity(longest))
        return max(1, self.cache_bytes // per_row)

    def _capacity(self, job: Job) -> int:
        tokens = len(job.prompt) + job.max_new_tokens + self.steps_at_once * self.network.draft_heads
        return rounded_capacity(tokens, self.network.device)

    def _take_rows(self, batch: int, capacity: int) -> Rows:
        kept, self._rows = self._rows, None
        if kept is None or kept.batch < batch or kept.batch > 2 * batch or kept.capacity < capacity:
            del kept  # before the new one is allocated
            kept = Rows(self.network, self.rule, batch, capacity)
        else:
            kept.stop(list(range(kept.batch)))
        if self.network.device.type == "cuda":
            self._rows = kept
        return kept

    def _retreat(self, error: RuntimeError, batch: int) -> None:
        if batch == 1:
            raise InputError(
                "not enough memory to decode a single completion: lower --max-new-tokens, use a narrower --dtype, or "
                f"another --device ({error})"
            ) from error
        self.batch_size, self._rows = batch // 2, None
        log.warning("out of memory with %d rows: going on with %d (completions stay the same)", batch, self.batch_size)
        self._prefixes.clear()
        if self.network.device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(self, queue: deque[Job], running: list[Decoded | None], rows: Rows | None) -> Iterator[Decoded]:
        """Decode until the queue is empty, in these rows if given; `running` always says which job each row is at."""
        if rows is None:
            with torch.inference_mode():
                rows = self._take_rows(len(running), self._capacity(queue[0]))
        elif self.network.device.type == "cuda":
            self._rows = rows
        running += [None] * (rows.batch - len(running))
        while queue or any(running):
            clock = time.perf_counter(), time.process_time()
            with torch.inference_mode():
                self._admit(queue, running, rows)
                blocks = self._steps(running, rows)
                ended = self._harvest(blocks, running, rows)
            share_time(clock, [row for row in running if row is not None] + ended)
            yield from ended
            if not queue:
                with torch.inference_mode():
                    rows = self._shrunk(running, rows)

    def _admit(self, queue: deque[Job], running: list[Decoded | None], rows: Rows) -> None:
        free = [b for b, row in enumerate(running) if row is None]
        jobs = [queue[i] for i in range(min(len(free), len(queue)))]
        if not jobs:
            return
        prompts = dict.fromkeys(job.prompt for job in jobs)
        missing = [prompt for prompt in prompts if prompt not in self._prefixes]
        if missing:
            new = self.network.prefill(missing)
            self._prefixes.update(zip(missing, new, strict=True))
        free = free[: len(jobs)]
        prefixes = [self._prefixes[job.prompt] for job in jobs]
        rows.start(free, [job.prompt for job in jobs], [row_key(job.seed) for job in jobs], prefixes)
        J = self.network.J
        for b, job in zip(free, jobs, strict=True):
            running[b] = Decoded(job, n_drafted=[0] * J, n_accepted=[0] * J)
            queue.popleft()
        # Jobs with one prompt stand together in the queue, so only the next one's prefix can be needed again.
        last = queue[0].prompt if queue else None
        self._prefixes = {prompt: prefix for prompt, prefix in self._prefixes.items() if prompt == last}

    def _steps(self, running: list[Decoded | None], rows: Rows) -> list[list[list[int]]]:
        """Run some forwards; returns, for each row, the block of tokens that each of them confirmed."""
        lengths = [len(row.job.prompt) + len(row.tokens) if row else 1 for row in running]
        T, longest = self.network.draft_heads, max(lengths)
        kept = []
        for i in range(self.steps_at_once):
            rows.step(longest + i * T)
            kept.append(rows.kept_B.clone() if self.steps_at_once > 1 else rows.kept_B)
        ahead = torch.arange(self.steps_at_once * T, device=rows.lengths_B.device)
        starts_B1 = torch.tensor(lengths, device=rows.lengths_B.device)[:, None]
        new = rows.tokens_BS.gather(1, (starts_B1 + ahead).clamp_(max=rows.capacity - 1)).tolist()
        counts = torch.stack(kept, dim=1).tolist()
        blocks = []
        for tokens, row_counts in zip(new, counts, strict=True):
            row_blocks, at = [], 0
            for n_kept in row_counts:
                row_blocks.append(tokens[at : at + n_kept + 1])
                at += n_kept + 1
            blocks.append(row_blocks)
        return blocks

    def _harvest(self, blocks: list[list[list[int]]], running: list[Decoded | None], rows: Rows) -> list[Decoded]:
        ended, idle = [], []
        for b, row in enumerate(running):
            if row is not None and not any(row.add(block) for block in blocks[b]):
                continue
            if row is not None:
                ended.append(row)
                running[b] = None
            idle.append(b)
        if idle:
            rows.stop(idle)
        return ended

    def _shrunk(self, running: list[Decoded | None], rows: Rows) -> Rows:
        """Go on with a smaller batch once nothing waits and half of the rows are idle."""
        busy = [b for b, row in enumerate(running) if row is not None]
        if not busy or 2 * len(busy) > len(running) or rows is self._rows:
            return rows
        running[:] = [running[b] for b in busy]
        return rows.keep(busy)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
