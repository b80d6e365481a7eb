"""Drafting with a model's own multi-token modules through transformers: `generate(use_mtp=True)`, transformers 5.20 or later.

DeepSeek-V3, GLM-4.5, Step-3.5 and others carry such modules; transformers verifies their drafts greedily and one text at a time.
What each of its forwards confirmed is counted as our decoder counts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mtp_eval.harness.backends.hf_generate import generated
from mtp_eval.harness.decoding.jobs import Decoded, Job
from mtp_eval.harness.decoding.sampling import Sampler
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

    def decode(self, job: Job, begin: int, sampler: Sampler) -> Decoded:
        """One greedy completion."""
        with self._kept():
            return generated(self.model, job, begin, sampler, self.n_modules, use_mtp=True)

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
