"""A model generated from by vLLM in this process (`vllm:NAME[@REVISION]`), with its own multi-token heads where it has such.

Written against vLLM's documented interface (LLM, SamplingParams, get_metrics) and tested with a stand-in for it. Self-speculative decoding
is vLLM's: `--draft-heads N` asks for N - 1 speculative tokens by method "mtp". vLLM counts accepted drafts for a whole call, so that a
completion's forwards are its share by tokens, and their sum is right. Not covered: likelihoods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.backends.chat_template import request_ids
from mtp_eval.harness.backends.hf_load import hub_place
from mtp_eval.harness.decoding.prompts import fit, warn_of_cuts
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.decoding.shares import shares
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request

ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
SEEDS = 2**63


class VLLMBackend(Backend):
    """A model in vLLM, loaded when it is first asked; `vllm` is the package."""

    def __init__(self, source: str, options: BackendOptions, vllm: Any) -> None:
        self._source, self._options, self._vllm = source, options, vllm
        self._model, place = hub_place(source)
        self.name = self._model.rstrip("/").rpartition("/")[2]
        self._revision: str | None = place.get("revision")
        self._engines: dict[int, Any] = {}

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The model of this name on the hub, or in this folder."""
        try:
            import vllm
        except ImportError:
            raise InputError("vllm: models need vLLM: pip install 'mtp-eval[vllm]', on a machine with a GPU") from None
        return cls(source, options, vllm)

    def facts(self) -> Mapping[str, Any]:
        """Name, revision and vLLM's version; the weights' hash is not known."""
        about = {"spec": f"vllm:{self._source}", "sha256": None, "revision": self._revision}
        return {**about, "vllm": self._vllm.__version__, **self._options.system_facts()}

    def check(self, settings: DecodingSettings) -> None:
        """Refuse drafting without a number of heads, which vLLM has to be told."""
        if settings.decode == "self-speculative" and (settings.draft_heads or 0) < 2:
            raise InputError("--decode self-speculative on a vllm: model needs --draft-heads N, of 2 and more")

    def check_chat(self) -> None:
        """Accept every chat; a missing template shows when the model is asked."""

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete all requests in one call."""
        engine = self._engine(settings)
        context, tokenizer = engine.llm_engine.model_config.max_model_len, engine.get_tokenizer()
        asked = [request_ids(tokenizer, request, self._options.system) for request in requests]
        fitted = [fit(ids, r.max_new_tokens, context, n) for (ids, n), r in zip(asked, requests, strict=True)]
        warn_of_cuts([n_cut for _, _, n_cut in fitted], context, self.name)
        prompts = [{"prompt_token_ids": ids} for ids, _, _ in fitted]
        sampling = [self._sampling(r, settings, room) for r, (_, room, _) in zip(requests, fitted, strict=True)]
        before = _accepted(engine)
        texts = [output.outputs[0] for output in engine.generate(prompts, sampling, use_tqdm=False)]
        n_tokens = [len(text.token_ids) for text in texts]
        forwards = shares(sum(n_tokens) - (_accepted(engine) - before), n_tokens)
        for request, (ids, room, n_cut), text, n in zip(requests, fitted, texts, forwards, strict=True):
            ended = "stop" if isinstance(text.stop_reason, str) else "eos"
            full = "length" if room == request.max_new_tokens else "context"
            reason = {"stop": ended, "length": full}.get(text.finish_reason, str(text.finish_reason))
            done = (request.problem_id, request.sample, text.text, len(text.token_ids), n, reason)
            yield Completion(*done, prompt_tokens=len(ids), prompt_tokens_cut=n_cut)

    def _engine(self, settings: DecodingSettings) -> Any:
        """vLLM with this many speculative tokens; statistics are kept, since they count accepted drafts."""
        n_drafts = (settings.draft_heads or 1) - 1 if settings.decode == "self-speculative" else 0
        if n_drafts not in self._engines:
            self._engines.clear()
            drafting = {"speculative_config": {"method": "mtp", "num_speculative_tokens": n_drafts}} if n_drafts else {}
            about = {"model": self._model, "revision": self._revision, "dtype": self._options.dtype}
            self._engines[n_drafts] = self._vllm.LLM(**about, **drafting, disable_log_stats=False)
        return self._engines[n_drafts]

    def _sampling(self, request: Request, settings: DecodingSettings, max_tokens: int) -> Any:
        chosen = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": settings.top_k}
        ends = {"max_tokens": max_tokens, "stop": list(request.stop), "skip_special_tokens": False}
        return self._vllm.SamplingParams(**chosen, **ends, seed=request.seed % SEEDS)


def _accepted(engine: Any) -> int:
    """Drafted tokens that were accepted since the engine was started."""
    return sum(int(metric.value) for metric in engine.get_metrics() if metric.name == ACCEPTED)
