"""A batch that is decoded with all heads, beside which forwards with fewer are timed; completions go on from it.

What was confirmed while measuring is kept where that leaves no trace in a completion's counts, so that a run that was killed, and
goes on with the choice it has stored, ends with the same bytes:

- all heads are chosen: the forwards are those that decoding with all heads begins with;
- plain decoding is chosen: its tokens are the same ones (under a rule that promises so), and it would have run a forward for each;
- for a number between, drafts would have stood at other places: completions begin again, from prompts that have been run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch

from mtp_eval.harness.decoding.acceptance import Rule
from mtp_eval.harness.decoding.jobs import Begun, Decoded, Job, share_time
from mtp_eval.harness.decoding.network import Network
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.rows import Rows


class SideBySide:
    """The batch.

    Args:
        networks: by number of heads.
        steps: forwards with all heads that will be made, at most.
        capacity: tokens that rows shall have room for; 0 for no more than these steps need.
    """

    def __init__(self, networks: Mapping[int, Network], rule: Rule, jobs: Sequence[Job], steps: int, capacity: int = 0):
        self._clock = time.perf_counter(), time.process_time()
        network = networks[max(networks)]
        self.networks, self.rule, self.jobs = networks, rule, jobs
        self.device, self.most = network.device, network.draft_heads
        prompts = [job.prompt for job in jobs]
        self.longest = max(map(len, prompts))
        unique = list(dict.fromkeys(prompts))
        self.prefixes = dict(zip(unique, network.prefill(unique), strict=True))
        needed = self.longest + (steps + 2) * self.most
        self.rows = Rows(network, rule, len(jobs), max(needed, capacity))
        keys = [row_key(job.seed) for job in jobs]
        self.rows.start(list(range(len(jobs))), prompts, keys, [self.prefixes[prompt] for prompt in prompts])
        self.kept: list[torch.Tensor] = []
        """Of each forward with all heads, how many drafts of each row were kept `(B,)`."""
        self._beside: dict[int, Rows] = {}
        if self.device.type == "cuda":
            self.advance()  # records the graph

    def advance(self) -> float:
        """Run and time a forward with all heads; every row advances. In seconds."""
        seconds = self._timed(self.rows)
        self.longest += self.most
        self.kept.append(self.rows.kept_B.clone())
        return seconds

    def time_only(self, heads: int) -> float:
        """Time a forward with so many heads whose result is dropped. In seconds.

        It writes keys and values of tokens that the next forward with all heads writes again, and nothing else.
        """
        first = heads not in self._beside
        beside = self._with(heads)
        if first and self.device.type == "cuda":
            self._timed(beside)
            beside.copy_state(self.rows)
        return self._timed(beside)

    def _with(self, heads: int) -> Rows:
        """The rows as they are now, for a network with so many heads."""
        if heads not in self._beside:
            self._beside[heads] = self.rows.with_network(self.networks[heads])
        self._beside[heads].copy_state(self.rows)
        return self._beside[heads]

    @torch.inference_mode()
    def begun(self, heads: int) -> Begun:
        """The rows for decoding with so many heads, and the completions in them; rows without one are free."""
        rows = self.rows if heads == self.most else self._with(heads)
        running: list[Decoded | None] = [None] * len(self.jobs)
        ended = []
        if heads == self.most or (heads == 1 and self.rule.same_as_plain):
            J = heads - 1
            for b, (job, blocks) in enumerate(zip(self.jobs, self._blocks(), strict=True)):
                decoded = Decoded(job, n_drafted=[0] * J, n_accepted=[0] * J)
                if any(decoded.add(block) for block in (blocks if J else [[t] for block in blocks for t in block])):
                    ended.append(decoded)
                else:
                    running[b] = decoded
            share_time(self._clock, [row for row in running if row is not None] + ended)
        if free := [b for b, row in enumerate(running) if row is None]:
            rows.stop(free)
        return Begun(rows, running, ended)

    def _blocks(self) -> list[list[list[int]]]:
        """Of each row, the tokens that each forward with all heads confirmed."""
        tokens, counts = self.rows.tokens_BS.tolist(), torch.stack(self.kept, dim=1).tolist()
        blocks = []
        for job, row, kept in zip(self.jobs, tokens, counts, strict=True):
            at, found = len(job.prompt), []
            for n in kept:
                found.append(row[at : at + n + 1])
                at += n + 1
            blocks.append(found)
        return blocks

    def _timed(self, rows: Rows) -> float:
        clock = time.process_time if self._one_thread() else time.perf_counter
        self._synchronize()
        start = clock()
        rows.step(self.longest)
        self._synchronize()
        return clock() - start

    def _one_thread(self) -> bool:
        return self.device.type == "cpu" and torch.get_num_threads() == 1

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
