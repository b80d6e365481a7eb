"""Our own checkpoints as a backend: prompts in, completions out.

Prompts that do not fit: a completion may need `max_new_tokens`, so a prompt keeps its last
`context_length - max_new_tokens` tokens, but never less than half of the context; the mark that begins a document
stays in front. A completion that then reaches the end of the context ends with the reason "context". Cut prompts are
counted in a warning and, each on its own, in `Completion.prompt_tokens_cut`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from mtp_eval.harness.decoding.engine import Decoded, Engine, Job
from mtp_eval.harness.decoding.network import Network
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.stopping import Stop
from mtp_eval.harness.decoding.weights import PackedModel
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.backend import DecodingSettings
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Completion, Request

log = logging.getLogger(__name__)
_DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_TRAINING_FACTS = ("seed", "step", "tokens", "seconds")  # what tables by seed and of training time need


class NativeBackend:
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
    def of_model(cls, model: MTPModel, tokenizer: Tokenizer, name: str = "model") -> NativeBackend:
        """A model in memory as a backend."""
        backend = cls.__new__(cls)
        backend._set(model.eval(), tokenizer, name)
        backend._facts = {"spec": name, "sha256": None}
        return backend

    def _set(self, model: MTPModel, tokenizer: Tokenizer, name: str) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self._packed: PackedModel | None = None
        self._networks: dict[int, Network] = {}

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.model.config

    def describe(self) -> dict[str, Any]:
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

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request once, each as soon as it is finished."""
        sampler = _sampler(settings)
        engine = Engine(self._network(self._draft_heads(settings)), sampler, settings.batch_size)
        jobs, cuts = [], []
        for index, request in enumerate(requests):
            job, n_cut = self._job(index, request)
            jobs.append(job)
            cuts.append(n_cut)
        if any(cuts):
            log.warning(
                "%d of %d prompts do not fit into the context of %d tokens of %s with room for their completions: "
                "only their last tokens are used (prompt_tokens_cut says how many are missing)",
                sum(n > 0 for n in cuts), len(cuts), self.config.context_length, self.name,
            )  # fmt: skip
        for decoded in engine.run(jobs):
            index = decoded.job.index
            yield self._completion(requests[index], decoded, cuts[index])

    def _network(self, draft_heads: int) -> Network:
        if draft_heads not in self._networks:
            if self._packed is None:
                self._packed = PackedModel(self.model)
            self._networks[draft_heads] = Network(self._packed, draft_heads)
        return self._networks[draft_heads]

    def _draft_heads(self, settings: DecodingSettings) -> int:
        n = self.config.n_future
        if settings.decode == "autoregressive":
            return 1
        if settings.decode not in ("auto", "self-speculative"):
            raise InputError(f"decode must be auto, autoregressive or self-speculative, got {settings.decode!r}")
        if settings.draft_heads is None:
            return 1 if settings.decode == "auto" else n
        if not 1 <= settings.draft_heads <= n:
            raise InputError(
                f"draft_heads={settings.draft_heads}, but {self.name} predicts {n} tokens: "
                f"give 1 (plain decoding) to {n}, or leave it out"
            )
        return settings.draft_heads

    def _job(self, index: int, request: Request) -> tuple[Job, int]:
        context = self.config.context_length
        prompt = [self.tokenizer.bos_id, *self.tokenizer.encode(request.prompt)]
        keep = max(context - request.max_new_tokens, context // 2, 1)
        n_cut = max(len(prompt) - keep, 0)
        if n_cut:
            prompt = [prompt[0], *prompt[len(prompt) - keep + 1 :]]
        room = context - len(prompt)
        stop = Stop(self.tokenizer.decode, self.tokenizer.eos_id, tuple(filter(None, request.stop)))
        if request.max_new_tokens < 1:
            raise InputError(f"max_new_tokens must be 1 or more, got {request.max_new_tokens}")
        return Job(index, tuple(prompt), request.seed, min(request.max_new_tokens, room), stop), n_cut

    def _completion(self, request: Request, decoded: Decoded, n_cut: int) -> Completion:
        reason = decoded.reason
        text = decoded.job.stop.text(decoded.tokens, reason)
        if reason == "length" and decoded.job.max_new_tokens < request.max_new_tokens:
            reason = "context"
        return Completion(
            problem_id=request.problem_id,
            sample=request.sample,
            text=text,
            n_tokens=len(decoded.tokens),
            n_forwards=decoded.n_forwards,
            stop_reason=reason,
            n_drafted=tuple(decoded.n_drafted),
            n_accepted=tuple(decoded.n_accepted),
            wall_seconds=decoded.wall_seconds,
            cpu_seconds=decoded.cpu_seconds,
            prompt_tokens=len(decoded.job.prompt),
            prompt_tokens_cut=n_cut,
        )


def _sampler(settings: DecodingSettings) -> Sampler:
    try:
        return Sampler.of(settings)
    except ValueError as error:
        raise InputError(str(error)) from None


def choose_device(name: str) -> torch.device:
    """The device a user names; "auto" prefers a GPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no such device {name!r}: give auto, cpu, cuda or cuda:N ({error})") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} was asked for, but torch finds no GPU here: give --device cpu or auto")
    return device


def choose_dtype(name: str) -> torch.dtype:
    """The dtype a user names."""
    if name == "auto":
        return torch.float32
    if name not in _DTYPES:
        raise InputError(f"no such dtype {name!r}: give auto, {', '.join(_DTYPES)}")
    return _DTYPES[name]
