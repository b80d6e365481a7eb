"""Any causal language model that transformers can load, as a backend: plain decoding in batches.

The model is transformers'; sampling, stop strings and cutting of prompts are ours, so that seeds and texts mean the same as
with our own checkpoints. Rows of a batch start together and finish on their own. Llama-family models decode faster after
`mtp-eval convert`. Needs the `hf` extra.

Shapes: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.backends.chat_template import templated
from mtp_eval.harness.backends.hf_drafts import Modules
from mtp_eval.harness.backends.hf_generate import generated
from mtp_eval.harness.backends.hf_group import opened
from mtp_eval.harness.backends.hf_load import prefix_ids
from mtp_eval.harness.decoding.jobs import Decoded, Job, share_time
from mtp_eval.harness.decoding.loglikelihood import Encoding, score
from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.prompts import completion, fit, warn_of_cuts
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.decoding.stopping import Stop
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request

log = logging.getLogger(__name__)

_LOGITS_AT_ONCE = 64_000_000  # entries of a batch's logits, when likelihoods are taken
_TAIL = 4  # prompt tokens decoded along with a completion, because some tokenizers drop a leading space otherwise


class HuggingFaceBackend(Backend):
    """A transformers model.

    Args:
        source: a folder; a name on the hub, which may end in @REVISION: a branch, a tag or a commit; a GGUF file; a LoRA folder.
        options: dtype "auto" is the checkpoint's own; device "all" spreads the model over what there is.

    Raises:
        InputError: there is no such model, it is damaged, or a package that it needs is not installed.
    """

    is_shared: ClassVar[bool] = True

    def __init__(self, source: str, options: BackendOptions | None = None):
        options = options or BackendOptions()
        self.loaded, self.forwards, self.n_processes = opened(source, options)
        self.tokenizer, self.model, self.device = self.loaded.tokenizer, self.loaded.model, self.loaded.device
        self.source, self.name = source, source.rstrip("/").split("/")[-1]
        self.context = int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 0) or 1 << 20)
        self.system = options.system
        self.has_cache = self.forwards.finds_cache()
        self.modules: Modules | None = None  # loaded where drafts are asked for
        self.prefix_ids = prefix_ids(self.tokenizer)
        self.eos_ids = self._ends()
        _unset_generation_config(self.model)
        self._sha256: str | None = None
        self._batches = itertools.count()

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The model of this name or folder."""
        return cls(source, options)

    def facts(self) -> dict[str, Any]:
        """Facts for run.json."""
        weight = next(self.model.parameters())
        self._sha256 = self._sha256 or self.forwards.sha256()
        return {
            "spec": f"hf:{self.source}",
            "sha256": self._sha256,
            "revision": None,
            **self.loaded.facts,
            "n_future": 1 + (self.modules.n_modules if self.modules else 0),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "context_length": self.context,
            "device": str(weight.device),
            "dtype": str(weight.dtype).removeprefix("torch."),
            **BackendOptions(system=self.system).system_facts(),
        }

    def check(self, settings: DecodingSettings) -> None:
        """Refuse drafts where the model has no modules for them, and what transformers cannot do with drafts."""
        if settings.decode == "self-speculative":
            if self.n_processes > 1:
                raise InputError(
                    f"{self.name} does not draft while torchrun's processes share it: use --decode autoregressive"
                )
            self.modules = self.modules or Modules(self.model, self.name)
            self.modules.check(settings, self.name)

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request once, batch by batch."""
        self.check(settings)
        sampler = Sampler.of(settings)
        jobs, cuts = [], []
        for index, request in enumerate(requests):
            job, n_cut = self._job(index, request)
            jobs.append(job)
            cuts.append(n_cut)
        warn_of_cuts(cuts, self.context, self.name)
        decode = self._decode if self.has_cache else self._decode_one_by_one
        if self.modules and settings.decode == "self-speculative":
            decode = self._draft
        jobs.sort(key=lambda job: (-len(job.prompt), job.prompt))
        for start in range(0, len(jobs), settings.batch_size):
            for decoded in decode(jobs[start : start + settings.batch_size], sampler):
                index = decoded.job.index
                yield completion(requests[index], decoded, cuts[index])

    def _ends(self) -> frozenset[int]:
        """The ids that end a completion: those of the model's config, its generation config, and the tokenizer."""
        settings = (self.model.config, self.model.generation_config)
        values = [self.tokenizer.eos_token_id, *(getattr(about, "eos_token_id", None) for about in settings)]
        found = {id for value in values for id in (value if isinstance(value, list) else [value])}
        return frozenset(found - {None})

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def prompt_ids(self, text: str) -> list[int]:
        """A prompt as the model is given it: at least one token."""
        return [*self.prefix_ids, *self._encode(text)] or [self._begin]

    def request_ids(self, request: Request) -> list[int]:
        """A request as the model is given it: its prompt, or its chat in the model's template, which writes its own begin mark."""
        return (
            self._encode(templated(self.tokenizer, request.chat, self.system))
            if request.chat
            else self.prompt_ids(request.prompt)
        )

    def check_chat(self) -> None:
        """Refuse a model without a chat template.

        Raises:
            InputError: the tokenizer has no chat template.
        """
        if not self.tokenizer.chat_template:
            raise InputError(
                f"{self.name} brings no chat template: ask it by a protocol that is no chat, such as the first that `mtp-eval tasks` lists"
            )

    @property
    def _begin(self) -> int:
        """The begin mark, or what stands in for it."""
        marks = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        return next((mark for mark in marks if mark is not None), 0)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of each (context, continuation) pair's continuation, in order."""
        encoding = Encoding(self._encode, self.prefix_ids, self._begin)
        room = max(1, _LOGITS_AT_ONCE // self.model.config.get_text_config().vocab_size)
        return score(self._target_logits, encoding, pairs, context_length=self.context, tokens_at_once=room)

    def _target_logits(self, rows: list[list[int]], where: list[tuple[int, int]]) -> Iterator[Tensor]:
        width = max(map(len, rows))
        tokens_BT = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        mask_BT = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        yield self.forwards.at(tokens_BT, mask_BT, torch.tensor(where))

    def _job(self, index: int, request: Request) -> tuple[Job, int]:
        prompt, room, n_cut = fit(self.request_ids(request), request.max_new_tokens, self.context, len(self.prefix_ids))
        tail = prompt[-_TAIL:]
        before = self.decode(tail)

        def decode(ids: Sequence[int]) -> str:
            return self.decode([*tail, *ids])[len(before) :]

        stop = Stop(decode, self.eos_ids, tuple(filter(None, request.stop)))
        return Job(index, tuple(prompt), request.seed, room, stop), n_cut

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids, special tokens included."""
        # special tokens stay: a protocol may stop at one, and what a text is made of is the extraction's business
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _decode(self, jobs: Sequence[Job], sampler: Sampler) -> Iterator[Decoded]:
        """One batch, padded on the left; finished rows leave it once they are half of it."""
        running: list[Decoded | None] = [Decoded(job) for job in jobs]
        width = max(len(job.prompt) for job in jobs)
        padded = [[0] * (width - len(job.prompt)) + list(job.prompt) for job in jobs]
        seen = [[0] * (width - len(job.prompt)) + [1] * len(job.prompt) for job in jobs]
        tokens_BT, mask_BS = torch.tensor(padded, device=self.device), torch.tensor(seen, device=self.device)
        keys_B = torch.tensor([row_key(job.seed) for job in jobs], device=self.device)
        batch, place = next(self._batches), 0
        try:
            while any(running):
                clock = time.perf_counter(), time.process_time()
                logits_BV = self.forwards.step(batch, tokens_BT, mask_BS)
                places_B1 = torch.full((len(running), 1), place, device=self.device)
                tokens_BT = sampler.pick(logits_BV[:, None].to(self.device), keys_B, places_B1)
                ended = [
                    row for row, (token,) in zip(running, tokens_BT.tolist(), strict=True) if row and row.add([token])
                ]
                share_time(clock, [row for row in running if row is not None])
                yield from ended
                running = [None if any(row is other for other in ended) else row for row in running]
                mask_BS, place = torch.cat([mask_BS, torch.ones_like(tokens_BT)], dim=1), place + 1
                keep = [b for b, row in enumerate(running) if row is not None]
                if keep and 2 * len(keep) <= len(running):
                    self.forwards.keep(batch, keep)
                    keep_B = torch.tensor(keep, device=self.device)
                    tokens_BT, mask_BS, keys_B = tokens_BT[keep_B], mask_BS[keep_B], keys_B[keep_B]
                    running = [running[b] for b in keep]
        finally:
            self.forwards.end(batch)

    def _draft(self, jobs: Sequence[Job], sampler: Sampler) -> Iterator[Decoded]:
        """Each job alone, with the drafts of the model's modules."""
        assert self.modules is not None
        for job in jobs:
            yield self.modules.decode(job, self._begin, sampler)

    def _decode_one_by_one(self, jobs: Sequence[Job], sampler: Sampler) -> Iterator[Decoded]:
        """Each job alone: for models whose state is not a cache that can be batched."""
        for job in jobs:
            yield generated(self.model, job, self._begin, sampler)


def _unset_generation_config(model: Any) -> None:
    """Let `generate` do what a run's settings say and nothing else: a checkpoint's own may hold a repetition_penalty and the like."""
    import transformers

    unset: Any = transformers.GenerationConfig
    model.generation_config = unset()
