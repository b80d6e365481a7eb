"""The interface between decoder and model: run prompts, verify a block of tokens, draft the next ones.

Shapes: B batch rows, T tokens, N = B·T, D model width, V vocabulary, J drafts (J = draft_heads - 1), L cached layers,
K key-value heads, S cache slots, E head size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtp_eval.harness.decoding.kernels.fused import FusedLayer, Linear, Place, rotary_of
from mtp_eval.harness.decoding.kernels.packed import PackedModel
from mtp_eval.harness.models.transformer import MTPModel

_WIDTH_STEP = 16  # prompts are padded to a multiple of it: kernels and buffers of every width stay in memory
_LOGITS_AT_ONCE = 4_000_000  # entries of a logits matrix
_PREFILL_TOKENS = 8192  # run together at most, padding included, unless one prompt is longer


@dataclass(slots=True)
class Prefix:
    """A prompt that has been run, to be copied into as many rows as want it.

    Args:
        kv: keys and values `(L, 2K, S, E)` of its tokens.
        draft_logits: `(J, V)`, what heads 2.. say follows: drafts for the first step.
    """

    kv: Tensor
    draft_logits: Tensor

    def of_first(self, network: Network) -> Prefix:
        """Select what a network with fewer heads needs of it."""
        return Prefix(self.kv[: network.n_layers], self.draft_logits[: network.J])


@dataclass(slots=True)
class Verified:
    """A block that has been run, from which `draft` goes on."""

    logits_BTV: Tensor
    place: Place
    z_ND: Tensor
    normed_ND: Tensor | None
    outputs: dict[tuple[int, ...], Tensor]


Choose = Callable[[Tensor, int], Tensor]
"""Logits `(B, V)` of a draft, and which of the drafts it is (from 0), to tokens `(B,)`."""


def likeliest(logits_BV: Tensor, number: int) -> Tensor:
    """The likeliest token of each row `(B,)`, for any draft."""
    return logits_BV.argmax(dim=-1)


class Networks:
    """A model rearranged for decoding once, and the networks that use so many of its heads."""

    def __init__(self, model: MTPModel):
        self.model = model
        self._packed: PackedModel | None = None
        self._by_heads: dict[int, Network] = {}

    def with_heads(self, draft_heads: int) -> Network:
        """The network that uses heads 1 to `draft_heads`; the weights are rearranged at the first call."""
        if draft_heads not in self._by_heads:
            self._packed = self._packed or PackedModel(self.model)
            self._by_heads[draft_heads] = Network(self._packed, draft_heads)
        return self._by_heads[draft_heads]


class Network:
    """A model with caches for a batch of rows, of which the first `draft_heads` heads are used."""

    def __init__(self, packed: PackedModel, draft_heads: int):
        self.packed, self.config = packed, packed.config
        self.draft_heads, self.J = draft_heads, draft_heads - 1
        self.device, self.dtype = packed.device, packed.dtype
        self.paths = [self.config.head_path(i) for i in range(1, draft_heads + 1)]
        self.stacked = packed.stacked if self.J else None
        self.sequential = packed.sequential if self.J else None
        whole = self.paths[:1] if self.stacked or self.sequential else self.paths
        steps = {path[: n + 1] for path in whole for n in range(len(path))}
        self.steps = sorted(steps, key=len)  # partial head paths in the order they are run
        if self.config.head_kind == "linear":
            self.steps = self.paths[:1]  # the others need no keys and values, so they run at the last token only
        n_layers = len(packed.trunk)
        self.layer_of = {}
        for path in self.steps:
            if isinstance(packed.heads[path[-1]], FusedLayer):
                self.layer_of[path] = n_layers
                n_layers += 1
        self.head_window = self.config.window_of(self.config.n_trunk_layers)
        self.first_stacked = n_layers
        if self.sequential:
            self.first_stacked += self.sequential.n_state_layers
        self.n_layers = self.first_stacked + (self.J if self.stacked or self.sequential else 0)

    def new_cache(self, batch: int, slots: int) -> Tensor:
        """An empty cache `(L, B, 2K, S, E)`."""
        K, E = self.config.kv_heads, self.config.head_size
        return torch.zeros(self.n_layers, batch, 2 * K, slots, E, dtype=self.dtype, device=self.device)

    def cache_bytes(self, batch: int, slots: int) -> int:
        """Bytes of a cache of this batch and so many slots."""
        K, E = self.config.kv_heads, self.config.head_size
        return self.n_layers * batch * 2 * K * slots * E * self.dtype.itemsize

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """Run prompts but for their last tokens, in groups of similar length, padded on the right to the longest of the group.

        The last token is left to the first step, whose block it begins; sequential modules read it already.
        """
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        prefixes: dict[int, Prefix] = {}
        while order:
            group = [order.pop()]
            width = -(-max(len(prompts[group[0]]) - 1, 1) // _WIDTH_STEP) * _WIDTH_STEP
            while order and (len(group) + 1) * width <= _PREFILL_TOKENS:
                group.append(order.pop())
            prefixes |= dict(zip(group, self._prefill([prompts[i] for i in group], width), strict=True))
        return [prefixes[i] for i in range(len(prompts))]

    def _prefill(self, prompts: Sequence[Sequence[int]], width: int) -> list[Prefix]:
        beyond = width + self.draft_heads  # room for the last token and for drafts
        padded = [[*prompt, *[0] * (beyond - len(prompt))] for prompt in prompts]
        tokens_BS = torch.tensor(padded, device=self.device)
        positions_BT = torch.arange(width, device=self.device).expand(len(prompts), width)
        kv = self.new_cache(len(prompts), width)
        verified = self._run(tokens_BS[:, :width], self._place(positions_BT, width, width, masked=False), kv)
        last_B = torch.tensor([max(len(prompt) - 2, 0) for prompt in prompts], device=self.device)
        drafts_BJV = self.draft(verified, last_B, kv, tokens_BS, likeliest)
        return [Prefix(kv[:, b, :, : len(prompt) - 1].clone(), drafts_BJV[b]) for b, prompt in enumerate(prompts)]

    def hidden(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Head 1's output `(B·T, D)` at every token of whole texts of one (padded) length, to be unembedded."""
        tokens_BT = torch.tensor(tokens, device=self.device)
        B, T = tokens_BT.shape
        positions_BT = torch.arange(T, device=self.device).expand(B, T)
        return self._run(tokens_BT, self._place(positions_BT, T, T, masked=False), self.new_cache(B, T)).outputs[
            self.paths[0]
        ]

    def target_logits(self, rows: list[list[int]], where: list[tuple[int, int]]) -> Iterator[Tensor]:
        """Head 1's logits `(N, V)` at (row, position) pairs of token rows of different lengths, in parts."""
        width = max(map(len, rows))
        hidden_ND = self.hidden([[*tokens, *[0] * (width - len(tokens))] for tokens in rows])
        places = torch.tensor([row * width + position for row, position in where], device=self.device)
        for part in torch.split(places, max(1, _LOGITS_AT_ONCE // self.config.vocab_size)):
            yield self.packed.unembed(hidden_ND[part])

    def verify(self, tokens_BT: Tensor, positions_BT: Tensor, kv: Tensor, slots: int) -> Verified:
        """Head 1's logits after each token of a block; every position is below `slots`."""
        verified = self._run(tokens_BT, self._place(positions_BT, kv.shape[3], slots, masked=True), kv)
        B, T = tokens_BT.shape
        verified.logits_BTV = self.packed.unembed(verified.outputs[self.paths[0]]).view(B, T, -1)
        return verified

    def draft(self, verified: Verified, last_B: Tensor, kv: Tensor, tokens_BS: Tensor, choose: Choose) -> Tensor:
        """Logits `(B, J, V)` of heads 2.. at each row's last accepted token, an index into the block.

        Args:
            tokens_BS: the rows' tokens up to the one after that; sequential modules write their drafts behind it.
            choose: draws a draft; asked by sequential modules, which read it.
        """
        place = verified.place
        if self.sequential is not None:
            return self._draft_in_turn(verified, last_B, kv, tokens_BS, choose)
        at_B = torch.arange(place.rows, device=self.device) * place.block + last_B
        if not self.J:
            return torch.zeros(place.rows, 0, self.config.vocab_size, dtype=self.dtype, device=self.device)
        if self.stacked is not None:
            assert verified.normed_ND is not None
            hidden_JBD = self.stacked.hidden(
                verified.z_ND[at_B],
                verified.normed_ND[at_B],
                self.J,
                rotary_of(place.rotary, at_B),
                kv[self.first_stacked :],
                slots=place.slots,
                mask_B11S=self._mask(place.positions_N[at_B][:, None], place.slots, self.head_window),
            )
            return self.packed.unembed(hidden_JBD.flatten(0, 1)).view(self.J, place.rows, -1).transpose(0, 1)
        logits = []
        for head, path in enumerate(self.paths[1:], start=2):
            last = self.packed.heads[path[-1]]
            hidden_BD = last(verified.z_ND[at_B]) if isinstance(last, Linear) else verified.outputs[path][at_B]
            logits.append(self.packed.unembed(hidden_BD, head))
        return torch.stack(logits, dim=1)

    def _draft_in_turn(
        self, verified: Verified, last_B: Tensor, kv: Tensor, tokens_BS: Tensor, choose: Choose
    ) -> Tensor:
        assert self.sequential is not None
        modules, B = self.sequential, verified.place.rows
        block_BT = verified.place.positions_N.view(B, -1)
        known_B = block_BT.gather(1, last_B[:, None])[:, 0] + 1  # the position of the last token that is known
        before = 0 if verified.place.mask is None else self.J - 1  # a prompt's block begins at 0
        first_B1 = block_BT[:, :1]
        earlier_BW = first_B1 + torch.arange(-before, 0, device=self.device)
        positions_BW = torch.cat([earlier_BW, block_BT], dim=1)
        place = self._window_place(positions_BW, kv.shape[3], verified.place)
        state_ND = modules.first_norm(verified.outputs[self.paths[0]])
        n_trunk = self.first_stacked - modules.n_state_layers
        if before:
            earlier_BWD = modules.states_at(earlier_BW.clamp(min=0), kv[n_trunk : self.first_stacked])
            state_ND = torch.cat([earlier_BWD, state_ND.view(B, block_BT.shape[1], -1)], dim=1).flatten(0, 1)
        at_B = torch.arange(B, device=self.device) * positions_BW.shape[1] + before + last_B
        logits = []
        for k, module in enumerate(modules.modules[: self.J], start=1):
            ahead_BW = (positions_BW + k).clamp(0, tokens_BS.shape[1] - 1)
            embedded_ND = modules.embed(tokens_BS.gather(1, ahead_BW).flatten())
            state_ND = module(state_ND, embedded_ND, place, kv[self.first_stacked + k - 1])
            logits.append(modules.unembed(state_ND[at_B]))
            drafted_B = choose(logits[-1], k - 1)
            tokens_BS.scatter_(1, (known_B + k).clamp(max=tokens_BS.shape[1] - 1)[:, None], drafted_B[:, None])
        return torch.stack(logits, dim=1)

    def _window_place(self, positions_BW: Tensor, capacity: int, block: Place) -> Place:
        """Place the block and the positions before it; those before the text write into the last slot, which nothing reads."""
        if positions_BW.shape[1] == block.block:
            return block
        place = self._place(positions_BW.clamp(min=0), capacity, block.slots, masked=True)
        lanes = 2 * self.config.kv_heads
        void_NL = (positions_BW < 0).view(-1, 1).expand(-1, lanes)
        last_NL = (
            torch.arange(place.rows * lanes, device=self.device).view(place.rows, 1, lanes) * capacity + capacity - 1
        )
        last_NL = last_NL.expand(-1, place.block, -1).reshape(-1, lanes)
        place.writes = torch.where(void_NL, last_NL, place.writes.view(-1, lanes)).view(-1)
        return place

    def _run(self, tokens_BT: Tensor, place: Place, kv: Tensor) -> Verified:
        packed = self.packed
        z_ND = packed.embed(tokens_BT.reshape(-1))
        for layer, fused in enumerate(packed.trunk):
            z_ND = fused(z_ND, place, kv[layer])
        outputs: dict[tuple[int, ...], Tensor] = {(): z_ND}
        for path in self.steps:
            head, before = packed.heads[path[-1]], outputs[path[:-1]]
            outputs[path] = (
                head(before, place, kv[self.layer_of[path]]) if isinstance(head, FusedLayer) else head(before)
            )
        if self.sequential is not None and self.sequential.n_state_layers:
            kept = kv[self.first_stacked - self.sequential.n_state_layers : self.first_stacked]
            self.sequential.keep_states(self.sequential.first_norm(outputs[self.paths[0]]), place, kept)
        normed_ND = None
        if self.stacked is not None:
            cached = kv[self.first_stacked :]
            strides_J = torch.arange(self.J, device=self.device) * cached[0].numel() // self.config.head_size
            writes = (place.writes.view(-1, 1, 2 * self.config.kv_heads) + strides_J[:, None]).view(-1)
            normed_ND = self.stacked.write_kv(z_ND, self.J, place.rotary, writes, cached)
        return Verified(torch.empty(0), place, z_ND, normed_ND, outputs)

    def _place(self, positions_BT: Tensor, capacity: int, slots: int, *, masked: bool) -> Place:
        B, T = positions_BT.shape
        lanes = torch.arange(B * 2 * self.config.kv_heads, device=self.device).view(B, 1, -1) * capacity
        writes = (positions_BT[:, :, None] + lanes).view(-1)
        positions_N = positions_BT.reshape(-1)
        mask = self._mask(positions_BT, slots) if masked else None
        window, window_mask = self.config.sliding_window, None
        if window is not None and slots > window:
            window_mask = self._mask(positions_BT, slots, window)
        rotary = self.packed.rotary.at(positions_N)
        return Place(B, T, positions_N, rotary, writes, slots=slots, mask=mask, window_mask=window_mask)

    def _mask(self, positions_BT: Tensor, slots: int, window: int | None = None) -> Tensor:
        """`(B, 1, T, S)`: 0 where a token may look, minus infinity where the slot is in its future or before its window."""
        slots_S = torch.arange(slots, device=self.device)
        hidden_B1TS = (slots_S > positions_BT[:, :, None])[:, None]
        if window is not None:
            hidden_B1TS |= (slots_S <= positions_BT[:, :, None] - window)[:, None]
        return torch.zeros(hidden_B1TS.shape, dtype=self.dtype, device=self.device).masked_fill_(
            hidden_B1TS, -torch.inf
        )
