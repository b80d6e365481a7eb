"""Train as `mtp-eval train` does: sources resolved, progress shown, provenance stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.outputs import try_folder
from mtp_eval.harness.progress import progress, say
from mtp_eval.harness.training.choice.choose import chosen_config
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import named_config
from mtp_eval.harness.training.data import resolve_data_once, training_provenance
from mtp_eval.harness.training.distributed import join_processes
from mtp_eval.harness.training.loop import Report, TrainResult
from mtp_eval.harness.training.loop import train as train_model
from mtp_eval.harness.training.matching import check_shape
from mtp_eval.harness.training.state import check_free, last_step, step_folders, stored_record


def train(
    config: TrainConfig | str,
    out: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train a model into the checkpoint folder `out`.

    Args:
        config: a whole config, a preset's name, or a TOML file.
        changes: keys of a preset or file that are to be other, such as {"model.n_future": 4, "steps": 500}.
        resume: continue the run in `out`.

    Raises:
        InputError: an unknown preset or key, a value outside its range, or a source or folder that cannot be used.
    """
    if isinstance(config, str):
        label, config = (
            config,
            named_config(config, [f"{key}={as_toml(value)}" for key, value in (changes or {}).items()]),
        )
    elif changes:
        raise InputError("changes go with a preset or a file; a whole config has its values already")
    else:
        label = Path(out).name
    try_folder(Path(out), "out")
    return train_checkpoint(config, Path(out), label, resume=resume)


def as_toml(value: Any) -> str:
    """A Python value as --set takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def train_checkpoint(config: TrainConfig, out: Path, label: str, *, resume: bool = False) -> TrainResult:
    """Train into `out` with progress on stderr; under torchrun only the first process talks.

    Raises:
        InputError: a source, config or folder that cannot be used.
    """
    processes = join_processes(config.device, config.batch_size)
    check_free(out, resume=resume)
    check_shape(config.model)
    data, tokenizer = resolve_data_once(config, out, processes)
    config, choice = chosen_config(config, data, tokenizer, out, processes)
    if not processes.is_main:
        return train_model(config, data, out, tokenizer=tokenizer, resume=resume)
    say(describe_model(config, tokenizer.vocab_size))
    if config.data.holdout:
        say(data.say_held_out())
    done = last_step(out) if resume else 0
    if done:
        say_extended(config, out)
    with progress(f"train {label}", config.total_steps, done) as bar:

        def report(now: Report) -> None:
            nonlocal done
            bar.advance(now.step - done, now.note)
            done = now.step

        result = train_model(
            config,
            data,
            out,
            tokenizer=tokenizer,
            resume=resume,
            on_progress=report,
            provenance=training_provenance(),
            choice=choice,
        )
    say(describe_result(result))
    return result


def say_extended(config: TrainConfig, out: Path) -> None:
    """Say what it means that a run goes on beyond the budget it began with."""
    before = stored_record(step_folders(out)[-1])["total_steps"]
    if config.total_steps > before:
        curve = "" if config.optimizer.decay == "constant" else (
            ": the learning rate follows the longer run's curve from here on, which the steps so far did not; with "
            "optimizer.decay=constant the two would be the same"
        )  # fmt: skip
        say(f"extending the run in {out} from {before:,} to {config.total_steps:,} steps{curve}")


def describe_model(config: TrainConfig, vocab_size: int) -> str:
    """The three counts by which models are matched, beside the next-token model's."""
    from mtp_eval.harness.models.size import model_size
    from mtp_eval.harness.training.matching import baseline, matched

    model = matched(config.model, vocab_size)
    size, base = model_size(model), model_size(baseline(config.model, vocab_size))
    return (
        f"n_future={model.n_future} {model.head_kind} heads on {model.n_trunk_layers} trunk layers, matched by "
        f"{config.model.match}: {size.n_parameters:,} parameters ({base.n_parameters:,} for next-token), "
        f"{size.n_layers_next_token} layers on the next-token path ({base.n_layers_next_token}), "
        f"{size.train_flops_per_token / 1e6:,.1f} MFLOPs per training token ({base.train_flops_per_token / 1e6:,.1f})\n"
        f"{config.total_steps:,} steps of {config.tokens_per_step:,} tokens, seed {config.seed}"
    )


def describe_result(result: TrainResult) -> str:
    """Held-out scores per head, speed and memory."""
    lines = []
    if result.validation is not None:
        scores = zip(result.validation.bits_per_byte, result.validation.accuracies, strict=True)
        for head, (bits, share) in enumerate(scores, start=1):
            lines.append(f"head {head}: {bits:.3f} bits per byte, {share:.1%} right, on held-out text")
    else:
        lines.append("no document was held out, so there is no held-out score: give more text or raise data.holdout")
    stopped = ", stopped early" if result.stopped_early else ""
    lines.append(
        f"{result.steps:,} steps in {result.seconds:.0f} s{stopped}, peak memory "
        f"{result.peak_memory_bytes / 2**20:,.0f} MiB"
    )
    return "\n".join(lines)
