"""Our own checkpoints as a backend: prompts in, completions out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.backends.chat_template import templated
from mtp_eval.harness.decoding.acceptance import Coupled, Rejection, Rule
from mtp_eval.harness.decoding.candidates import COUNTS
from mtp_eval.harness.decoding.draft_heads import Plan, candidates, measure, worth_measuring
from mtp_eval.harness.decoding.engine import Engine
from mtp_eval.harness.decoding.jobs import Begun, Decoded, Job
from mtp_eval.harness.decoding.loglikelihood import Encoding, score
from mtp_eval.harness.decoding.measures import LogLikelihood, SpeedUp, Verification
from mtp_eval.harness.decoding.network import Network, Networks, Prefix
from mtp_eval.harness.decoding.oracle import verify_decoding
from mtp_eval.harness.decoding.prompts import completion, fit, warn_of_cuts
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.decoding.side_by_side import SideBySide
from mtp_eval.harness.decoding.speedup import measure_speed_up
from mtp_eval.harness.decoding.stopping import Stop
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.devices import choose_device, choose_dtype
from mtp_eval.harness.models.tokenizers import Tokenizer, prompt_ids
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Chat, Completion, Request

log = logging.getLogger(__name__)
_TOKENS_AT_ONCE = 8192  # of pairs whose likelihood is taken
_TRAINING_FACTS = ("seed", "step", "tokens", "seconds")  # what tables by seed and of training time need


class NativeBackend(Backend):
    """A checkpoint folder.

    Args:
        path: the folder.
        device: "auto" takes a GPU where there is one.
        dtype: of weights and caches: "float64", "float32", "bfloat16", "float16"; "auto" is float32, in which drafting
            was never seen to change a greedy completion.
    """

    def __init__(self, path: str | Path, *, device: str = "auto", dtype: str = "auto"):
        where, wide = choose_device(device), choose_dtype(dtype)
        checkpoint = load_checkpoint(path, where, wide)
        self._set(checkpoint.model, checkpoint.tokenizer, Path(path).name)
        kept = {name: checkpoint.training[name] for name in _TRAINING_FACTS if name in checkpoint.training}
        self._facts = {"spec": str(path), "sha256": checkpoint.sha256, "training": kept}

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The checkpoint in a folder."""
        backend = cls(source, device=options.device, dtype=options.dtype)
        backend.system = options.system
        return backend

    @classmethod
    def of_model(cls, model: MTPModel, tokenizer: Tokenizer, name: str = "model") -> NativeBackend:
        """A model in memory as a backend."""
        backend = cls.__new__(cls)
        backend._set(model.eval(), tokenizer, name)
        backend._facts = {"spec": name, "sha256": ""}
        return backend

    def _set(self, model: MTPModel, tokenizer: Tokenizer, name: str) -> None:
        self.model, self.tokenizer, self.name, self.system = model, tokenizer, name, ""
        self._renderer: Any = None  # of a chat's turns
        self._networks = Networks(model)
        self._engine: tuple[DecodingSettings, Engine] | None = None
        self._unplanned: dict[tuple[Any, ...], float] = {}  # forwards asked for so far without a plan
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self._measured: tuple[DecodingSettings, SideBySide] | None = None  # the choice, and what was decoded for it

    @property
    def _device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.model.config

    def facts(self) -> dict[str, Any]:
        """Facts for run.json."""
        weight = self.model.embed_tokens.weight
        return {
            **self._facts,
            "n_future": self.config.n_future,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "context_length": self.config.context_length,
            "device": str(weight.device),
            "dtype": str(weight.dtype).removeprefix("torch."),
        }

    def decoding_facts(self) -> dict[str, Any]:
        """Measurements of "auto" so far, and how many positions of this process were sampled cheaply; JSON-serialisable."""
        names = ("temperature", "top_p", "top_k", "acceptance")
        plans = [
            dict(zip(names, sampling, strict=True)) | plan.as_dict() for (_, *sampling), plan in self.plans.items()
        ]
        return {"plans": plans, "sampled": dict(COUNTS)}

    def check(self, settings: DecodingSettings) -> None:
        """Refuse more heads than the model has.

        Raises:
            InputError: more heads than the model has, or drafting with one head.
        """
        n, asked = self.config.n_future, settings.draft_heads
        if settings.decode == "self-speculative" and asked is None and n == 1:
            raise InputError(f"{self.name} predicts one token and cannot draft: use --decode auto or autoregressive")
        if settings.decode != "autoregressive" and asked is not None and not 1 <= asked <= n:
            raise InputError(
                f"draft_heads={asked}, but {self.name} predicts {n} tokens: "
                f"give 1 (plain decoding) to {n}, or leave it out"
            )

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request once, each as soon as it is finished."""
        settings = self.choose_decoding(requests, settings)
        jobs, cuts = self.jobs(requests)
        warn_of_cuts(cuts, self.config.context_length, self.name)
        prefixes, begun = self._take_measured(settings)
        for decoded in self._engine_for(settings).run(jobs, prefixes, begun):
            index = decoded.job.index
            yield completion(requests[index], decoded, cuts[index])

    def choose_decoding(self, requests: Sequence[Request], settings: DecodingSettings) -> DecodingSettings:
        """The settings with "auto" replaced by a definite choice, measured on these requests where it has to be.

        Storing the result and passing it again makes a later call use the same number of heads whatever the machine is
        busy with. As long as too little work has been asked for to be worth measuring, decoding is plain.
        """
        if settings.decode == "autoregressive":
            return replace(settings, draft_heads=1)
        n = self.config.n_future
        if settings.draft_heads is not None:
            self.check(settings)
            return replace(settings, decode="self-speculative")
        heads = n if settings.decode == "self-speculative" or n == 1 else self._planned_heads(requests, settings)
        return replace(settings, decode="self-speculative", draft_heads=heads)

    def forget_plans(self) -> None:
        """Forget what `auto` measured, so that it measures again."""
        self.plans.clear()
        self._unplanned.clear()
        self._measured = None

    def _planned_heads(self, requests: Sequence[Request], settings: DecodingSettings) -> int:
        batch = max(1, min(len(requests), settings.batch_size))
        bucket = 1 << (batch - 1).bit_length()
        key = (bucket, settings.temperature, settings.top_p, settings.top_k, settings.acceptance)
        if key not in self.plans:
            self._unplanned[key] = self._unplanned.get(key, 0) + sum(r.max_new_tokens for r in requests) / batch
            forwards = self._unplanned[key]
            if not worth_measuring(forwards, batch, self.config.n_future, self._device):
                return 1
            jobs, rule = self.jobs(requests[:: max(1, len(requests) // batch)][:batch])[0], _rule(settings)
            n = self.config.n_future
            networks = {k: self.network(k) for k in candidates(n)}
            self._measured = None  # frees its rows before room is looked for
            room = Engine(networks[n], rule, batch, self._cache_bytes()).room_for(jobs)
            plan, stage = measure(networks, rule, jobs, forwards, room)
            self.plans[key] = plan
            chosen = replace(settings, decode="self-speculative", draft_heads=plan.draft_heads)
            self._measured = chosen, stage
            log.info(
                "%s, %d rows: %d of %d heads, expected %.2f times plain decoding",
                self.name, batch, plan.draft_heads, n, plan.speedup[plan.draft_heads],
            )  # fmt: skip
        return self.plans[key].draft_heads

    def _take_measured(self, settings: DecodingSettings) -> tuple[dict[tuple[int, ...], Prefix], Begun | None]:
        """Prompts that were run to measure, and completions that go on from there if that was done with these settings; both once."""
        measured, self._measured = self._measured, None
        if measured is None:
            return {}, None
        chosen, stage = measured
        return stage.prefixes, stage.begun(settings.draft_heads or 1) if settings == chosen else None

    def decode_plainly(self, request: Request, settings: DecodingSettings) -> Decoded:
        """Decode one request alone and without drafts, as the reference for every other way."""
        jobs, _ = self.jobs([request])
        rule = Coupled(_rule(settings).sampler)
        return next(Engine(self.network(1), rule, 1, self._cache_bytes()).run(jobs))

    def verify(
        self, requests: Sequence[Request], completions: Sequence[Completion], settings: DecodingSettings
    ) -> Verification:
        """Compare completions with plain decoding; see `harness.decoding.oracle`."""
        return verify_decoding(self, requests, completions, settings)

    def speed_up(self, requests: Sequence[Request], settings: DecodingSettings) -> SpeedUp | None:
        """The measured rate over plain decoding on these requests; None where the settings are plain decoding."""
        settings = self.choose_decoding(requests, settings)
        if settings.draft_heads == 1 or not requests:
            return None
        rule, jobs = _rule(settings), self.jobs(requests)[0]
        heads = settings.draft_heads or self.config.n_future
        room = self._cache_bytes() // 2  # there are two of them
        drafting, plain = (Engine(self.network(k), rule, settings.batch_size, room) for k in (heads, 1))
        return measure_speed_up(drafting, plain, jobs, settings.batch_size)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of each (context, continuation) pair's continuation, in order."""
        encoding = Encoding(self.tokenizer.encode, self.tokenizer.prefix_ids, self.tokenizer.bos_id)
        context, logits = self.config.context_length, self.network(1).target_logits
        results = score(logits, encoding, pairs, context_length=context, tokens_at_once=_TOKENS_AT_ONCE)
        if n_cut := sum(result.n_cut > 0 for result in results):
            log.warning(
                "%d of %d pairs exceed the context of %s: only their last tokens count", n_cut, len(pairs), self.name
            )
        return results

    def _cache_bytes(self) -> int:
        """Bytes that keys and values may take: most of a GPU's free memory, a part of the host's."""
        if self._device.type == "cuda":
            return int(0.8 * torch.cuda.mem_get_info(self._device)[0])
        pages, page = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return max(int(0.3 * pages * page), 64 << 20)

    def _engine_for(self, settings: DecodingSettings) -> Engine:
        """The engine for these settings; that of the last call is kept, since it knows what fits into memory."""
        key = replace(settings, decode="auto")  # by now draft_heads says it all
        if self._engine is None or self._engine[0] != key:
            self._engine = None  # frees a GPU's caches before the new engine asks how much memory there is
            network = self.network(settings.draft_heads or 1)
            self._engine = key, Engine(network, _rule(settings), settings.batch_size, self._cache_bytes())
        return self._engine[1]

    def network(self, draft_heads: int) -> Network:
        """The model as a decoder with so many heads asks it; weights are packed once for all of them."""
        return self._networks.with_heads(draft_heads)

    def check_chat(self) -> None:
        """Refuse a model without a chat template.

        Raises:
            InputError: the checkpoint has none, or transformers, which runs it, is not installed.
        """
        self._chat_renderer()

    def _chat_renderer(self) -> Any:
        if self.tokenizer.chat is None:
            raise InputError(
                f"{self.name} has no chat template: those checkpoints have one that `mtp-eval convert` made of a chat model's folder, and "
                "those trained on from such; ask it by a protocol that is no chat"
            )
        if self._renderer is None:
            self._renderer = self.tokenizer.chat.renderer()
        return self._renderer

    def request_ids(self, request: Request) -> list[int]:
        """A request as the model is given it: its prompt, or its chat in the model's template, which writes its own begin mark."""
        if request.chat is None:
            return prompt_ids(self.tokenizer, request.prompt)
        return self.tokenizer.encode(templated(self._chat_renderer(), request.chat, self.system))

    def jobs(self, requests: Sequence[Request]) -> tuple[list[Job], list[int]]:
        """Jobs, and how many tokens were cut from each prompt."""
        encoded: dict[tuple[str, Chat | None], list[int]] = {}
        jobs, cuts = [], []
        for index, request in enumerate(requests):
            asked = request.prompt, request.chat
            if asked not in encoded:
                encoded[asked] = self.request_ids(request)
            job, n_cut = self._job(index, request, encoded[asked])
            jobs.append(job)
            cuts.append(n_cut)
        return jobs, cuts

    def _job(self, index: int, request: Request, prompt: list[int]) -> tuple[Job, int]:
        stop = Stop(self.tokenizer.decode, self.tokenizer.eos_ids, tuple(filter(None, request.stop)))
        prompt, room, n_cut = fit(
            prompt, request.max_new_tokens, self.config.context_length, len(self.tokenizer.prefix_ids)
        )
        return Job(index, tuple(prompt), request.seed, room, stop), n_cut


def _rule(settings: DecodingSettings) -> Rule:
    sampler = Sampler.of(settings)
    return Coupled(sampler) if sampler.greedy or settings.acceptance == "coupled" else Rejection(sampler)
