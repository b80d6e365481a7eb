"""A model generated from by vLLM in this process (`vllm:NAME[@REVISION]`), with its own multi-token heads where it has such.

Written against vLLM's documented interface (LLM, SamplingParams, get_metrics) and tested with a stand-in for it. Self-speculative decoding
is vLLM's: `--draft-heads N` asks for N - 1 speculative tokens by method "mtp". vLLM counts accepted drafts for a whole call, so that a
completion's forwards are its share by tokens, and their sum is right. Not covered: likelihoods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.backends.chat_template import templated
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request

ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
SEEDS = 2**63


class VLLMBackend(Backend):
    """A model in vLLM, loaded when it is first asked.

    Raises:
        InputError: vLLM is not installed.
    """

    def __init__(self, source: str, options: BackendOptions) -> None:
        try:
            import vllm
        except ImportError:
            raise InputError("vllm: models need vLLM: pip install 'mtp-eval[vllm]', on a machine with a GPU") from None
        self._vllm: Any = vllm
        self._model, _, self._revision = source.partition("@")
        self.name, self._options = self._model.rstrip("/").rpartition("/")[2], options
        self._engines: dict[int, Any] = {}

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The model of this name on the hub, or in this folder."""
        return cls(source, options)

    def facts(self) -> Mapping[str, Any]:
        """Name, revision and vLLM's version; the weights' hash is not known."""
        spec = f"vllm:{self._model}{'@' * bool(self._revision)}{self._revision}"
        return {"spec": spec, "sha256": None, "vllm": self._vllm.__version__, **self._options.system_facts()}

    def check(self, settings: DecodingSettings) -> None:
        """Refuse drafting without a number of heads, which vLLM has to be told.

        Raises:
            InputError: self-speculative decoding without --draft-heads of 2 or more.
        """
        if settings.decode == "self-speculative" and (settings.draft_heads or 0) < 2:
            raise InputError("--decode self-speculative on a vllm: model needs --draft-heads N, of 2 and more")

    def check_chat(self) -> None:
        """Accept every chat; a missing template shows when the model is asked."""

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete all requests in one call."""
        engine = self._engine(settings)
        prompts = [self._ids(engine, request) for request in requests]
        fitting = [ids[-_room(engine, request) :] for ids, request in zip(prompts, requests, strict=True)]
        before = _accepted(engine)
        outputs = engine.generate(
            [{"prompt_token_ids": ids} for ids in fitting],
            [self._sampling(r, settings) for r in requests],
            use_tqdm=False,
        )
        n_tokens = [len(output.outputs[0].token_ids) for output in outputs]
        forwards = _apportioned(n_tokens, sum(n_tokens) - (_accepted(engine) - before))
        for request, ids, output, n_forwards in zip(requests, prompts, outputs, forwards, strict=True):
            yield _completion(request, output, len(ids) - len(output.prompt_token_ids), n_forwards)

    def _engine(self, settings: DecodingSettings) -> Any:
        """vLLM with this many speculative tokens."""
        n_drafts = (settings.draft_heads or 1) - 1 if settings.decode == "self-speculative" else 0
        if n_drafts not in self._engines:
            self._engines.clear()
            drafting = {"speculative_config": {"method": "mtp", "num_speculative_tokens": n_drafts}} if n_drafts else {}
            self._engines[n_drafts] = self._vllm.LLM(
                model=self._model,
                revision=self._revision or None,
                dtype=self._options.dtype,
                disable_log_stats=False,  # without them there are no counts of drafts
                **drafting,
            )
        return self._engines[n_drafts]

    def _ids(self, engine: Any, request: Request) -> list[int]:
        """The prompt as the model's tokenizer has it; a template writes its special tokens itself."""
        tokenizer, chat = engine.get_tokenizer(), request.chat
        text = request.prompt if chat is None else templated(tokenizer, chat, self._options.system)
        return list(tokenizer.encode(text, add_special_tokens=chat is None))

    def _sampling(self, request: Request, settings: DecodingSettings) -> Any:
        return self._vllm.SamplingParams(
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            max_tokens=request.max_new_tokens,
            stop=list(request.stop),
            seed=request.seed % SEEDS,
            skip_special_tokens=False,
        )


def _room(engine: Any, request: Request) -> int:
    """How many tokens of a prompt fit beside its completion."""
    return max(1, engine.llm_engine.model_config.max_model_len - request.max_new_tokens)


def _completion(request: Request, output: Any, n_cut: int, n_forwards: int) -> Completion:
    one = output.outputs[0]
    ended = "stop" if isinstance(one.stop_reason, str) else "eos"
    return Completion(
        problem_id=request.problem_id,
        sample=request.sample,
        text=one.text,
        n_tokens=len(one.token_ids),
        n_forwards=n_forwards,
        stop_reason=ended if one.finish_reason == "stop" else str(one.finish_reason),
        prompt_tokens=len(output.prompt_token_ids),
        prompt_tokens_cut=n_cut,
    )


def _accepted(engine: Any) -> int:
    """Drafted tokens that were accepted since the engine was started."""
    return sum(int(metric.value) for metric in engine.get_metrics() if metric.name == ACCEPTED)


def _apportioned(n_tokens: Sequence[int], n_forwards: int) -> list[int]:
    """The forwards of a call by the tokens of its completions: whole numbers with this sum."""
    done = given = 0
    shares = []
    for n in n_tokens:
        done += n
        share = round(n_forwards * done / max(1, sum(n_tokens))) - given
        given += share
        shares.append(share)
    return shares
