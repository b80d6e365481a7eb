"""Models and steps that the studies of this folder share. Needs torch, numpy, pydantic and safetensors only."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import numpy as np
import torch

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.training.assemble import new_stepper
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.corpus import Window
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.runtime import resolve_runtime
from mtp_eval.harness.training.step import Stepper


def configuration(
    *,
    width: int,
    layers: int,
    heads: int,
    length: int,
    batch: int,
    n_future: int,
    match: str = "params",
    **changes: Any,
) -> TrainConfig:
    """A run that reads no data."""
    model = {
        "d_model": width,
        "n_layers": layers,
        "n_heads": heads,
        "context_length": length,
        "n_future": n_future,
        "match": match,
    }
    values = {
        "model": model,
        "data": {"sources": ["stdlib"]},
        "optimizer": {"warmup_steps": 2},
        "steps": 1000,
        "batch_size": batch,
        **changes,
    }
    return make_config(values)


def stepper(config: TrainConfig, vocab_size: int) -> Stepper:
    """A fresh model with its optimizer on the device that the config names."""
    return new_stepper(config, vocab_size, resolve_runtime(config, vocab_size), Processes())


def random_batch(config: TrainConfig, vocab_size: int, n_future: int) -> Window:
    """Tokens of one document per row."""
    rng = np.random.default_rng(0)
    shape = (config.batch_size, config.model.context_length + n_future)
    return Window(rng.integers(0, vocab_size, shape), np.broadcast_to(np.arange(shape[0])[:, None], shape).copy())


def step_flops(model: ModelConfig, config: TrainConfig) -> float:
    """FLOPs of one optimizer step, as `harness.models.size` counts them."""
    return float(model_size(model).train_flops_per_token * config.tokens_per_step)


def in_a_fresh_process(module: str, *arguments: str) -> str:
    """Run `python -m module arguments` and return what it printed: memory's high-water mark needs its own process."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def machine() -> dict[str, Any]:
    """The machine that the figures were taken on."""
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    else:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            facts["cpu"] = next(
                (line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown"
            )
    return facts
