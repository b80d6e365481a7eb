"""The rows of a batch as tensors, and one step of them all.

The invariant of a row between two steps: its last token is known but has not been run; the drafts for the places after it
are guesses of heads 2..k. A step runs [last token, drafts], lets head 1 judge them, keeps those that stand and the one
token that follows, and drafts again from the last token that has been run. With k = 1 there are no drafts, and this is
plain decoding.

A step works on fixed tensors only and never asks the device for a value, so that a GPU replays it as one graph and the host
looks at the results of several steps at once. Rows that ended in the meantime run along; what they add is dropped.

Shapes: B rows, T block (the last token and its drafts), J drafts, S slots.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from mtp_eval.harness.decoding.acceptance import Drafts, Rule
from mtp_eval.harness.decoding.network import Network, Prefix

log = logging.getLogger(__name__)
_STATE = ("tokens_BS", "lengths_B", "starts_B", "keys_B", "kept_B")  # of a row, beside its drafts and its cache
_SLOT_STEP = {"cpu": 16, "cuda": 256}  # attention looks at a multiple of this many slots; on a GPU each is a graph


def rounded_capacity(tokens: int, device: torch.device) -> int:
    """Slots that a row with room for this many tokens has."""
    step = _SLOT_STEP.get(device.type, 256)
    return -(-tokens // step) * step


class Rows:
    """A batch of `batch` rows with room for `capacity` tokens each."""

    def __init__(self, network: Network, rule: Rule, batch: int, capacity: int):
        self.network, self.rule = network, rule
        self.J, device = network.J, network.device
        self.slot_step = _SLOT_STEP.get(device.type, 256)
        self.capacity = rounded_capacity(capacity, device)
        self.kv = network.new_cache(batch, self.capacity)
        self.tokens_BS = torch.zeros(batch, self.capacity, dtype=torch.long, device=device)
        self.lengths_B = torch.ones(batch, dtype=torch.long, device=device)
        self.starts_B = torch.ones(batch, dtype=torch.long, device=device)
        self.keys_B = torch.zeros(batch, dtype=torch.long, device=device)
        self.kept_B = torch.zeros(batch, dtype=torch.long, device=device)
        self.drafts = Drafts(torch.zeros(batch, self.J, dtype=torch.long, device=device), None)
        self.ahead_T = torch.arange(self.J + 1, device=device)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._can_capture = True
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None  # graphs run one at a time

    @property
    def batch(self) -> int:
        """Number of rows."""
        return self.lengths_B.shape[0]

    def start(self, rows: list[int], prompts: list[tuple[int, ...]], keys: list[int], prefixes: list[Prefix]) -> None:
        """Begin completions in these rows: copy the prompts' tokens and caches into them and draw the first drafts."""
        device = self.lengths_B.device
        rows_R = torch.tensor(rows, device=device)
        lengths_R = torch.tensor([len(prompt) for prompt in prompts], device=device)
        keys_R = torch.tensor(keys, device=device)
        for row, prompt, prefix in zip(rows, prompts, prefixes, strict=True):
            self.kv[:, row, :, : len(prompt) - 1] = prefix.kv
            self.tokens_BS[row, : len(prompt)] = torch.tensor(prompt, device=device)
        self.lengths_B[rows_R] = lengths_R
        self.starts_B[rows_R] = lengths_R
        self.keys_B[rows_R] = keys_R
        if self.J:
            logits_RJV = torch.stack([prefix.draft_logits for prefix in prefixes])
            new = self.rule.draft(logits_RJV, keys_R, self.ahead_T[None, : self.J].expand(len(rows), -1))
            self._ensure_q(new)
            self.drafts.tokens_BJ[rows_R] = new.tokens_BJ
            if self.drafts.q_BJV is not None and new.q_BJV is not None:
                self.drafts.q_BJV[rows_R] = new.q_BJV

    def _ensure_q(self, new: Drafts) -> None:
        if new.q_BJV is not None and self.drafts.q_BJV is None:
            q_BJV = torch.zeros(self.batch, *new.q_BJV.shape[1:], dtype=new.q_BJV.dtype, device=new.q_BJV.device)
            q_BJV[..., 0] = 1  # an idle row's draft is token 0
            self.drafts = Drafts(self.drafts.tokens_BJ, q_BJV)

    def stop(self, rows: list[int]) -> None:
        """Free these rows; they are computed along at position 0 until they start again."""
        for length in (self.lengths_B, self.starts_B):
            length[torch.tensor(rows, device=length.device)] = 1

    def step(self, longest: int) -> None:
        """Run one forward of every row; no row has more than `longest` tokens before it."""
        slots = min(-(-(longest + self.J) // self.slot_step) * self.slot_step, self.capacity)
        if self.lengths_B.device.type != "cuda":
            self._step(slots)
            return
        if slots not in self._graphs and self._can_capture:
            try:
                self._graphs[slots] = self._capture(slots)
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                self._can_capture = False
                log.warning(
                    "this GPU or torch cannot record a decoding step, so steps are launched one by one: %s", error
                )
        if slots in self._graphs:
            self._graphs[slots].replay()
        else:
            self._step(slots)

    def _step(self, slots: int) -> None:
        starts_B1 = self.starts_B[:, None]
        positions_BT = (self.lengths_B[:, None] - 1 + self.ahead_T).clamp_(max=slots - 1)
        last_B1 = self.tokens_BS.gather(1, positions_BT[:, :1])
        block_BT = torch.cat([last_B1, self.drafts.tokens_BJ], dim=1) if self.J else last_B1
        verified = self.network.verify(block_BT, positions_BT, self.kv, slots)
        places_BT = positions_BT + 1 - starts_B1
        tokens_BT, kept_B = self.rule.verify(self.drafts, verified.logits_BTV, self.keys_B, places_BT)
        self.tokens_BS.scatter_(1, (positions_BT + 1).clamp_(max=self.capacity - 1), tokens_BT)
        if self.J:
            places_BJ = places_BT[:, 1:] + kept_B[:, None]

            def choose(logits_BV: Tensor, number: int) -> Tensor:
                return self.rule.draft(logits_BV[:, None], self.keys_B, places_BJ[:, number : number + 1]).tokens_BJ[
                    :, 0
                ]

            logits_BJV = self.network.draft(verified, kept_B, self.kv, self.tokens_BS, choose)
            new = self.rule.draft(logits_BJV, self.keys_B, places_BJ)
            self.drafts.tokens_BJ.copy_(new.tokens_BJ)
            if self.drafts.q_BJV is not None and new.q_BJV is not None:
                self.drafts.q_BJV.copy_(new.q_BJV)
        self.kept_B.copy_(kept_B)
        self.lengths_B.add_(kept_B).add_(1)

    def _capture(self, slots: int) -> torch.cuda.CUDAGraph:
        """Record a step as a CUDA graph, which a GPU runs without the host."""
        state = [self.tokens_BS, self.lengths_B, self.drafts.tokens_BJ, self.drafts.q_BJV]
        saved = [tensor.clone() for tensor in state if tensor is not None]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # lets libraries choose kernels and allocate before the recording
                self._step(slots)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._step(slots)
        for tensor, before in zip((tensor for tensor in state if tensor is not None), saved, strict=True):
            tensor.copy_(before)
        return graph

    def keep(self, rows: list[int]) -> Rows:
        """Copy these rows, in this order, into a smaller batch."""
        small = object.__new__(Rows)
        rows_R = torch.tensor(rows, device=self.lengths_B.device)
        small.__dict__.update(self.__dict__, kv=self.kv[:, rows_R], _graphs={})
        for name in _STATE:
            setattr(small, name, getattr(self, name)[rows_R])
        q_BJV = self.drafts.q_BJV
        small.drafts = Drafts(self.drafts.tokens_BJ[rows_R], None if q_BJV is None else q_BJV[rows_R])
        return small

    def with_network(self, network: Network) -> Rows:
        """Copy these rows for a network with as many heads or fewer; its steps do not change the state of these.

        Both share one cache, into which they write the same values at the same places.
        """
        other = object.__new__(Rows)
        other.__dict__.update(self.__dict__, network=network, J=network.J, _graphs={})
        other.kv, other.ahead_T = self.kv[: network.n_layers], self.ahead_T[: network.J + 1]
        if self._pool is not None:
            other._pool = torch.cuda.graph_pool_handle()
        for name in _STATE:
            setattr(other, name, getattr(self, name).clone())
        q_BJV = self.drafts.q_BJV
        drafts_BJ = self.drafts.tokens_BJ[:, : network.J].clone()
        other.drafts = Drafts(drafts_BJ, None if q_BJV is None else q_BJV[:, : network.J].clone())
        return other

    def copy_state(self, other: Rows) -> None:
        """Take over the state (tokens, lengths, drafts) of the rows that these were copied from."""
        for name in _STATE:
            getattr(self, name).copy_(getattr(other, name))
        self.drafts.tokens_BJ.copy_(other.drafts.tokens_BJ[:, : self.J])
        if self.drafts.q_BJV is not None and other.drafts.q_BJV is not None:
            self.drafts.q_BJV.copy_(other.drafts.q_BJV[:, : self.J])
