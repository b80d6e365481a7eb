"""A run's model on its processes, ready for its first step."""

from __future__ import annotations

from mtp_eval.harness.models.initialize import empty_model
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.first_weights import first_weights, run_config
from mtp_eval.harness.training.optimizer import freeze_trunk
from mtp_eval.harness.training.parallel import Parallel, Replicated
from mtp_eval.harness.training.runtime import Runtime
from mtp_eval.harness.training.step import Stepper


def parallel_of(config: TrainConfig, runtime: Runtime, processes: Processes) -> Parallel:
    """The way of spreading a model that the config's `parallel` names, where there is more than one process."""
    if processes.world_size == 1:
        return Parallel(processes)
    if config.parallel == "ddp":
        return Replicated(processes)
    from mtp_eval.harness.training.sharded import Sharded  # imports much of torch.distributed

    return Sharded(processes, precision=runtime.precision, gradient_sync=config.gradient_sync)


def new_stepper(config: TrainConfig, vocab_size: int, runtime: Runtime, processes: Processes) -> Stepper:
    """The config's model with its first weights, and its optimizer."""
    model_config = run_config(config, vocab_size)
    model = empty_model(model_config)
    if config.freeze == "trunk":
        freeze_trunk(model)
    parallel = parallel_of(config, runtime, processes)
    parallel.place(model, runtime.device, first_weights(config, model_config))
    return Stepper(model, config, runtime, parallel)
