"""A byte model with four heads, trained for half a minute, for studies that are given no checkpoint."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.documents import held_out, stdlib_files
from mtp_eval.harness.training.domains import HELD_OUT_SHARE


@torch.enable_grad()
def quick_model(
    steps: int = 150,
    n_future: int = 4,
    *,
    head_kind: HeadKind = "parallel",
    d_model: int = 96,
    trunk: int = 6,
    text: bytes | None = None,
) -> NativeBackend:
    """A model trained on the standard library's sources, held-out files left out, or on a text."""
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=264, d_model=d_model, n_layers=trunk + n_future, n_heads=4, d_ff=8 * d_model // 3, context_length=256,
        n_future=n_future, head_kind=head_kind,
    )  # fmt: skip
    model = MTPModel(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    if text is None:
        files = [path for name, path in stdlib_files() if not held_out(name, HELD_OUT_SHARE)]
        text = b"".join(path.read_bytes() for path in files[:200])
    data = torch.tensor(list(text))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        starts = torch.randint(len(data) - 96 - n_future, (8,))
        tokens = torch.stack([data[start : start + 96 + n_future] for start in starts])
        losses = [
            F.cross_entropy(logits.flatten(0, 1), tokens[:, i : 96 + i].flatten())
            for i, logits in enumerate(model(tokens[:, :96]), start=1)
        ]
        optimizer.zero_grad()
        loss: Any = torch.stack(losses).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    name = f"quick ({trunk} + {n_future} layers, d = {d_model})"
    return NativeBackend.of_model(model.requires_grad_(False), ByteTokenizer(), name)
