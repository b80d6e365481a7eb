"""One text after another through transformers' `generate`, for what only it can do.

That is decoding with a state of the model's own kind (Mamba, RWKV, RecurrentGemma), and drafting with a model's multi-token modules
(`hf_drafts`). The tokens are chosen by our sampler with our seeds, and a text ends where ours does; `generate` brings the forwards.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from mtp_eval.harness.decoding.jobs import Decoded, Job, share_time
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.sampling import Sampler


def generated(model: Any, job: Job, begin: int, sampler: Sampler, n_modules: int = 0, **how: Any) -> Decoded:
    """One completion.

    Args:
        model: with a generation config that changes no logits: what `generate` finds there, it applies.
        job: what to complete.
        begin: an id to pad with, which `generate` asks for and a single row does not need.
        sampler: the choice of each token.
        n_modules: further tokens that are drafted and verified in a forward; greedily only.
        how: further arguments of `generate`.
    """
    from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

    row, clock = Decoded(job), (time.perf_counter(), time.process_time())
    key_B = torch.tensor([row_key(job.seed)], device=model.device)

    class Watch(StoppingCriteria):
        """Count what a forward confirmed, and end where we end."""

        def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
            ended = row.add(input_ids[0, len(job.prompt) + len(row.tokens) :].tolist())
            if n_modules:
                row.n_drafted, row.n_accepted = row.n_drafted or [0] * n_modules, row.n_accepted or [0] * n_modules
            return torch.full((1,), ended, dtype=torch.bool, device=input_ids.device)

    class Choose(LogitsProcessor):
        """Leave nothing but the token that our sampler picks."""

        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            place_11 = torch.full((1, 1), input_ids.shape[1] - len(job.prompt), device=scores.device)
            token_11 = sampler.pick(scores[:, None], key_B.to(scores.device), place_11)
            return torch.full_like(scores, -torch.inf).scatter_(1, token_11, 0.0)

    processors = [] if sampler.greedy else [Choose()]
    prompt_1T = torch.tensor([job.prompt], device=model.device)
    with torch.inference_mode():
        model.generate(
            prompt_1T,
            attention_mask=torch.ones_like(prompt_1T),
            do_sample=False,
            max_new_tokens=job.max_new_tokens,
            eos_token_id=sorted(job.stop.eos_ids) or None,
            pad_token_id=begin,
            logits_processor=LogitsProcessorList(processors),
            stopping_criteria=StoppingCriteriaList([Watch()]),
            **how,
        )
    share_time(clock, [row])
    return row
