"""`mtp-eval presets`: training runs that ship with the program."""

from __future__ import annotations

from mtp_eval.harness.commands.options import command


@command("mtp-eval presets", "mtp-eval train listops-n4 --out ckpt")
def presets() -> None:
    """List the training presets with their sizes, and what the small ones reach."""
    from mtp_eval.harness.models.size import model_size
    from mtp_eval.harness.training.config_files import preset
    from mtp_eval.harness.training.matching import matched
    from mtp_eval.harness.training.presets import PRESETS, REACHES

    print(f"{'preset':<23} {'parameters':>14} {'trunk+heads':>11} {'d':>5} {'context':>7} {'tokens':>10}  data")
    for name in PRESETS:
        config = preset(name)
        vocab = 264 if config.data.tokenizer == "bytes" else int(config.data.tokenizer.rpartition(":")[2])
        model = matched(config.model, vocab)
        size = model_size(model)
        tokens = config.total_steps * config.tokens_per_step
        print(
            f"{name:<23} {size.n_parameters:>14,} {f'{model.n_trunk_layers}+{model.n_future}':>11} {model.d_model:>5} "
            f"{model.context_length:>7} {tokens:>10.2e}  {', '.join(config.data.sources)}"
        )
    print("\nWhat a model of each family reaches:")
    for family, reached in REACHES.items():
        print(f"{family:<23} {reached}")
