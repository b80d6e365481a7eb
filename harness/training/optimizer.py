"""AdamW with decoupled weight decay on matrices only, fused where the device has it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.config import OptimizerConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """The optimizer of the parameters that require gradients."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in learning if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def freeze_trunk(model: MTPModel) -> None:
    """Leave only heads 2..n (and their own norms and unembeddings) to learn; the next-token path stays bit for bit."""
    path = model.config.head_path(1)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    learning: list[nn.Module] = [head for i, head in enumerate(model.heads) if i not in path]
    for module in [*learning, *model.extra_norms, *model.extra_lm_heads]:
        module.requires_grad_(True)


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Euclidean norm over all gradients, on the device; shards of a sharded model are put together."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm
