"""What the decoder asks of a model: run prompts, verify a block of tokens, draft the next ones.

Shapes: B batch rows, T tokens, N = B·T, D model width, V vocabulary, J drafts (J = draft_heads - 1), L cached layers,
K key-value heads, S cache slots, E head size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        whole = self.paths[:1] if self.stacked else self.paths
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
        self.first_stacked = n_layers
        self.n_layers = n_layers + (self.J if self.stacked else 0)

    def new_cache(self, batch: int, slots: int) -> Tensor:
        """`(L, B, 2K, S, E)`."""
        K, E = self.config.kv_heads, self.config.head_size
        return torch.zeros(self.n_layers, batch, 2 * K, slots, E, dtype=self.dtype, device=self.device)

    def cache_bytes(self, batch: int, slots: int) -> int:
        """Size of such a cache."""
        K, E = self.config.kv_heads, self.config.head_size
        return self.n_layers * batch * 2 * K * slots * E * self.dtype.itemsize

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """Run whole prompts, in groups of similar length, padded on the right to the longest of the group."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        prefixes: dict[int, Prefix] = {}
        while order:
            group = [order.pop()]
            width = -(-max(len(prompts[group[0]]), 1) // _WIDTH_STEP) * _WIDTH_STEP
            while order and (len(group) + 1) * width <= _PREFILL_TOKENS:
                group.append(order.pop())
            prefixes |= dict(zip(group, self._prefill([prompts[i] for i in group], width), strict=True))
        return [prefixes[i] for i in range(len(prompts))]

    def _prefill(self, prompts: Sequence[Sequence[int]], width: int) -> list[Prefix]:
        padded = [[*prompt, *[0] * (width - len(prompt))] for prompt in prompts]
        tokens_BT = torch.tensor(padded, device=self.device)
        positions_BT = torch.arange(width, device=self.device).expand(len(prompts), width)
        kv = self.new_cache(len(prompts), width)
        verified = self._run(tokens_BT, self._place(positions_BT, width, width, masked=False), kv)
        last_B = torch.tensor([max(len(prompt) - 1, 0) for prompt in prompts], device=self.device)
        drafts_BJV = self.draft(verified, last_B, kv)
        return [Prefix(kv[:, b, :, : len(prompt)].clone(), drafts_BJV[b]) for b, prompt in enumerate(prompts)]

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

    def draft(self, verified: Verified, last_B: Tensor, kv: Tensor) -> Tensor:
        """Logits `(B, J, V)` of heads 2.. at each row's last accepted token, an index into the block."""
        place = verified.place
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
                mask_B11S=self._mask(place.positions_N[at_B][:, None], place.slots),
            )
            return self.packed.unembed(hidden_JBD.flatten(0, 1)).view(self.J, place.rows, -1).transpose(0, 1)
        logits = []
        for head, path in enumerate(self.paths[1:], start=2):
            last = self.packed.heads[path[-1]]
            hidden_BD = last(verified.z_ND[at_B]) if isinstance(last, Linear) else verified.outputs[path][at_B]
            logits.append(self.packed.unembed(hidden_BD, head))
        return torch.stack(logits, dim=1)

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
        return Place(B, T, positions_N, self.packed.rotary.at(positions_N), writes, slots=slots, mask=mask)

    def _mask(self, positions_BT: Tensor, slots: int) -> Tensor:
        """`(B, 1, T, S)`: 0 where a token may look, minus infinity where the slot is in its future."""
        slots_S = torch.arange(slots, device=self.device)
        hidden_B1TS = (slots_S > positions_BT[:, :, None])[:, None]
        return torch.zeros(hidden_B1TS.shape, dtype=self.dtype, device=self.device).masked_fill_(
            hidden_B1TS, -torch.inf
        )
