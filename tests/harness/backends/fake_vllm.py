"""A stand-in for vLLM's documented interface: LLM, SamplingParams, and counts of drafts; its tokens are bytes."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

MAX_MODEL_LEN = 64
EOS = 0


@dataclass
class SamplingParams:
    """The arguments that are used here, under their documented names."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int | None = 16
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    skip_special_tokens: bool = True


class Tokenizer:
    """UTF-8 bytes; a special token at the beginning where such are added."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [1] * add_special_tokens + list(text.encode())

    def apply_chat_template(self, turns: Sequence[dict[str, str]], tokenize: bool) -> str:
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in turns)


class LLM:
    """Writes a text that depends on the prompt and, when sampling, on the seed; drafts are accepted two at a time."""

    made: list[dict[str, Any]] = []  # noqa: RUF012 - what tests look at

    def __init__(self, **arguments: Any) -> None:
        self.made.append(arguments)
        self.drafts = arguments.get("speculative_config", {}).get("num_speculative_tokens", 0)
        self.accepted = 0
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=MAX_MODEL_LEN))

    def get_tokenizer(self) -> Tokenizer:
        return Tokenizer()

    def get_metrics(self) -> list[Any]:
        name = "vllm:spec_decode_num_accepted_tokens"
        return [SimpleNamespace(name="vllm:prompt_tokens", value=9), SimpleNamespace(name=name, value=self.accepted)]

    def generate(self, prompts: list[Any], sampling_params: list[SamplingParams], use_tqdm: bool = True) -> list[Any]:
        return [self._one(prompt["prompt_token_ids"], p) for prompt, p in zip(prompts, sampling_params, strict=True)]

    def _one(self, ids: list[int], sampling: SamplingParams) -> Any:
        assert len(ids) + (sampling.max_tokens or 0) <= MAX_MODEL_LEN, "vLLM refuses such prompts"
        draw = random.Random(f"{ids} {sampling.seed if sampling.temperature else ''}")
        text = "".join(draw.choice("abc d+\n") for _ in range(draw.randint(1, 20)))
        length, reason, stopped = sampling.max_tokens or 16, "stop", None
        if len(text) > length:
            text, reason = text[:length], "length"
        n = len(text)
        for stop in sampling.stop:
            if stop in text:
                text, stopped, reason = text[: text.index(stop)], stop, "stop"
                n = len(text) + len(stop)
        self.accepted += n // 3 if self.drafts else 0
        one = SimpleNamespace(text=text, token_ids=[5] * n, finish_reason=reason, stop_reason=stopped)
        return SimpleNamespace(prompt_token_ids=ids, outputs=[one])


def install(monkeypatch: Any) -> None:
    """Let `import vllm` find this."""
    module = ModuleType("vllm")
    module.__dict__.update(LLM=LLM, SamplingParams=SamplingParams, __version__="0.0")
    monkeypatch.setitem(sys.modules, "vllm", module)
    LLM.made.clear()
