"""First weights of a run: fresh from a seed, or a checkpoint's, with heads added where it has too few."""

from __future__ import annotations

from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info, read_weights
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert.convert import add_heads
from mtp_eval.harness.models.initialize import empty_model, first_weight
from mtp_eval.harness.training.config import ModelShape, TrainConfig
from mtp_eval.harness.training.matching import matched
from mtp_eval.harness.training.parallel import WholeWeights


def run_config(config: TrainConfig, vocab_size: int) -> ModelConfig:
    """The model that a run trains: by its shape, or the checkpoint's that it starts from."""
    if config.init is None:
        model = matched(config.model, vocab_size)
    else:
        model = _with_heads(checkpoint_info(config.init).config, config.model.n_future)
    return model.model_copy(
        update={
            "order_unembedding": config.loss.order_window > 0,
            "register_token": config.loss.register_distance > 0,
        }
    )


def shape_of_checkpoint(folder: str, n_future: int | None) -> ModelShape:
    """The model section of a config that continues a checkpoint, perhaps with more or fewer heads."""
    stored = checkpoint_info(folder).config
    config = _with_heads(stored, n_future or stored.n_future)
    return ModelShape(
        d_model=config.d_model,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        d_ff=config.d_ff,
        context_length=config.context_length,
        n_future=config.n_future,
        head_kind=config.head_kind,
        extra_layers=config.extra_layers,
        tie_embeddings=config.tie_embeddings,
        rope_theta=config.rope_theta,
        norm_eps=config.norm_eps,
    )


def first_weights(config: TrainConfig, model_config: ModelConfig) -> WholeWeights:
    """Each parameter's value before the first step, by name: float32 on the CPU, made when it is asked for."""
    shapes = {name: parameter.shape for name, parameter in empty_model(model_config).named_parameters()}

    def fresh(name: str) -> Tensor:
        return first_weight(model_config, config.seed, name, shapes[name])

    if config.init is None:
        return fresh
    info = checkpoint_info(config.init)
    state = dict(read_weights(info).state_dict())
    if info.config.n_future < model_config.n_future:
        _, state = add_heads(info.config, state, model_config.n_future)

    def stored(name: str) -> Tensor:
        is_new = name.startswith(("order_lm_heads.", "register_tokens.")) and name not in state
        return fresh(name) if is_new else state[name].float()

    return stored


def _with_heads(stored: ModelConfig, n_future: int) -> ModelConfig:
    """The checkpoint's config with `n_future` heads on the same trunk."""
    if n_future == stored.n_future:
        return stored
    if n_future > stored.n_future:
        return add_heads(stored, {}, n_future)[0]
    if stored.head_kind != "parallel":
        raise InputError(
            f"the checkpoint has {stored.n_future} {stored.head_kind} heads: only parallel heads can be dropped, so "
            f"model.n_future must be {stored.n_future}"
        )
    dropped = stored.n_future - n_future
    return stored.model_copy(update={"n_future": n_future, "n_layers": stored.n_layers - dropped})
