"""Where a run's weights begin: fresh from a seed, or a checkpoint, with heads added where it has too few."""

from __future__ import annotations

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info, read_weights
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert import add_heads
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.config import ModelShape, TrainConfig
from mtp_eval.harness.training.matching import matched


def run_config(config: TrainConfig, vocab_size: int) -> ModelConfig:
    """The model that a run trains: by its shape, or the checkpoint's that it starts from."""
    if config.init is None:
        return matched(config.model, vocab_size)
    stored = checkpoint_info(config.init).config
    n_future = config.model.n_future
    if stored.n_future == 1 and n_future > 1:
        stored, _ = add_heads(stored, {}, n_future)
    expected, got = shape_of(stored, n_future).model_dump(), config.model.model_dump()
    changed = [
        f"{key} = {got[key]!r}, the checkpoint has {value!r}"
        for key, value in expected.items()
        if key not in ("match", "context_length", "extra_layers", "n_layers") and got[key] != value
    ]
    if changed:
        raise InputError(
            f"init = {config.init!r} is of another shape than the model section: {'; '.join(changed)}. Leave the "
            "model section out: it is taken from the checkpoint"
        )
    if stored.vocab_size != vocab_size:
        raise InputError(
            f"init = {config.init!r} has {stored.vocab_size} ids, the tokenizer {vocab_size}: set data.tokenizer = "
            "'init'"
        )
    return stored


def shape_of(config: ModelConfig, n_future: int | None = None) -> ModelShape:
    """The model section of a config that continues a checkpoint."""
    return ModelShape(
        d_model=config.d_model,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        d_ff=config.d_ff,
        context_length=config.context_length,
        n_future=n_future or config.n_future,
        head_kind=config.head_kind,
        extra_layers=config.extra_layers,
        tie_embeddings=config.tie_embeddings,
        rope_theta=config.rope_theta,
        norm_eps=config.norm_eps,
    )


def first_weights(config: TrainConfig, model_config: ModelConfig) -> MTPModel:
    """The model on the CPU in float32 as step 1 finds it."""
    model = new_model(model_config, config.seed)
    if config.init is None:
        return model
    info = checkpoint_info(config.init)
    state = dict(read_weights(info).state_dict())
    if info.config.n_future < model_config.n_future:
        _, state = add_heads(info.config, state, model_config.n_future)
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model
