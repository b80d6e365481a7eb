"""Drafting with a model's own multi-token modules through transformers: `generate(use_mtp=True)`, transformers 5.20 or later.

DeepSeek-V3, GLM-4.5, Step-3.5 and others carry such modules; transformers verifies their drafts greedily and one text at a time.
What each of its forwards confirmed is counted as our decoder counts it, and a text ends where ours does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mtp_eval.harness.decoding.engine import Decoded, Job, share_time
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError


class Modules:
    """A model's modules, loaded once.

    Raises:
        InputError: the model has none, or this transformers cannot run them.
    """

    def __init__(self, model: Any, name: str):
        self.n_modules = int(getattr(model.config.get_text_config(), "num_mtp_layers", 0) or 0)
        if not self.n_modules:
            raise InputError(
                f"{name} predicts one token and has no modules that draft: use --decode auto or autoregressive"
            )
        try:
            from transformers.modeling_layers import MtpModel

            module: Any = MtpModel.from_pretrained(model, device_map={"": model.device})
            self.model, self.module = model, module.eval()
        except Exception as error:  # whatever transformers meets on the way
            raise InputError(
                f"{name} cannot draft: transformers does not load its {self.n_modules} module(s): {' '.join(str(error).split())}. "
                "Use --decode autoregressive"
            ) from error

    def check(self, settings: DecodingSettings, name: str) -> None:
        """Refuse what `generate` cannot do with drafts.

        Raises:
            InputError: a temperature above 0, or another number of heads than the modules draft with.
        """
        if settings.temperature > 0:
            raise InputError(
                f"transformers' drafts for {name} would be sampled without our seeds: use --temperature 0, or --decode autoregressive"
            )
        if settings.draft_heads not in (None, 1 + self.n_modules):
            raise InputError(f"draft_heads={settings.draft_heads}, but {name} drafts with all {self.n_modules} modules")

    def decode(self, job: Job, eos_ids: frozenset[int], begin: int) -> Decoded:
        """One greedy completion."""
        from transformers import StoppingCriteria, StoppingCriteriaList

        row, clock = Decoded(job), (time.perf_counter(), time.process_time())
        modules = self.n_modules

        class Watch(StoppingCriteria):
            def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
                block = input_ids[0, len(job.prompt) + len(row.tokens) :].tolist()
                ended = row.add(block)
                row.n_drafted, row.n_accepted = row.n_drafted or [0] * modules, row.n_accepted or [0] * modules
                return torch.full((1,), ended, dtype=torch.bool, device=input_ids.device)

        prompt_1T = torch.tensor([job.prompt], device=self.model.device)
        with self._kept(), torch.inference_mode():
            self.model.generate(
                prompt_1T,
                attention_mask=torch.ones_like(prompt_1T),
                use_mtp=True,
                do_sample=False,
                max_new_tokens=job.max_new_tokens,
                eos_token_id=sorted(eos_ids) or None,
                pad_token_id=begin,
                stopping_criteria=StoppingCriteriaList([Watch()]),
            )
        share_time(clock, [row])
        return row

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Give `generate` the modules that are loaded; it would read them from disk again for every text."""
        from transformers.modeling_layers import MtpModel

        original = MtpModel.__dict__["from_pretrained"]
        MtpModel.from_pretrained = lambda *_, **__: self.module  # type: ignore[method-assign]
        try:
            yield
        finally:
            MtpModel.from_pretrained = original  # type: ignore[method-assign]
