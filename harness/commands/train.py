"""`mtp-eval train`: a preset or a TOML config becomes a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    what: Annotated[str, typer.Argument(metavar="PRESET|CONFIG.toml", help="see `mtp-eval presets`")],
    out: Annotated[Path, typer.Option(help="checkpoint folder to write")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a config key, such as model.n_future=4"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --out")] = False,
    seed: Annotated[int | None, typer.Option(help="weights and order of the data")] = None,
    init: Annotated[str | None, typer.Option(help="checkpoint to start from")] = None,
    freeze: Annotated[str | None, typer.Option(help="trunk: train heads 2..n only")] = None,
) -> None:
    """Train a next-token or multi-token-prediction model."""
    from mtp_eval.harness.progress import progress, say
    from mtp_eval.harness.training.config import TrainConfig, make_config, read_config
    from mtp_eval.harness.training.distributed import join_processes
    from mtp_eval.harness.training.loop import Report
    from mtp_eval.harness.training.loop import train as run_training
    from mtp_eval.harness.training.presets import preset_values
    from mtp_eval.harness.training_data import resolve_data, training_provenance

    overrides = list(set_ or [])
    overrides += [
        f"{key}={value}" for key, value in (("seed", seed), ("init", init), ("freeze", freeze)) if value is not None
    ]
    config: TrainConfig
    config = read_config(what, overrides) if what.endswith(".toml") else make_config(preset_values(what), overrides)
    processes = join_processes(config.device, config.batch_size)
    data, tokenizer = resolve_data(config, out)
    if not processes.is_main:
        run_training(config, data, out, tokenizer=tokenizer, resume=resume)
        return
    say(describe_model(config, tokenizer.vocab_size))
    done = 0
    with progress(f"train {what}", config.total_steps) as bar:

        def report(now: Report) -> None:
            nonlocal done
            bar.advance(now.step - done, now.note)
            done = now.step

        result = run_training(
            config,
            data,
            out,
            tokenizer=tokenizer,
            resume=resume,
            on_progress=report,
            provenance=training_provenance(),
        )
    say(describe_result(result))
    print(out)


def describe_model(config: object, vocab_size: int) -> str:
    """The three counts by which models are matched, beside the next-token model's."""
    from mtp_eval.harness.models.size import model_size
    from mtp_eval.harness.training.config import TrainConfig
    from mtp_eval.harness.training.matching import baseline, matched

    assert isinstance(config, TrainConfig)
    model = matched(config.model, vocab_size)
    size, base = model_size(model), model_size(baseline(config.model, vocab_size))
    return (
        f"n_future={model.n_future} {model.head_kind} heads on {model.n_trunk_layers} trunk layers, matched by "
        f"{config.model.match}: {size.n_parameters:,} parameters ({base.n_parameters:,} for next-token), "
        f"{size.n_layers_next_token} layers on the next-token path ({base.n_layers_next_token}), "
        f"{size.train_flops_per_token / 1e6:,.1f} MFLOPs per training token ({base.train_flops_per_token / 1e6:,.1f})\n"
        f"{config.total_steps:,} steps of {config.tokens_per_step:,} tokens, seed {config.seed}"
    )


def describe_result(result: object) -> str:
    """Held-out scores per head, speed and memory."""
    from mtp_eval.harness.training.loop import TrainResult

    assert isinstance(result, TrainResult)
    lines = []
    if result.validation is not None:
        for head, (bits, share) in enumerate(
            zip(result.validation.bits_per_byte, result.validation.accuracies, strict=True), start=1
        ):
            lines.append(f"head {head}: {bits:.3f} bits per byte, {share:.1%} right, on held-out text")
    stopped = ", stopped early" if result.stopped_early else ""
    lines.append(
        f"{result.steps:,} steps in {result.seconds:.0f} s{stopped}, peak memory "
        f"{result.peak_memory_bytes / 2**20:,.0f} MiB"
    )
    return "\n".join(lines)
