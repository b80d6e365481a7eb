"""Make the choices that a config asks for, once, and write them down beside the run: choice.json.

The run itself is then bit for bit that of the config with the chosen numbers in the place of "auto". A choice that was written is never
made again; one that was cut off begins again and ends the same, since it depends on the config alone.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.outputs import write_file
from mtp_eval.harness.progress import progress, say
from mtp_eval.harness.training.choice.halving import HalvingN, HalvingWeights
from mtp_eval.harness.training.choice.heads_kept import Agreement, Foresight, Gain
from mtp_eval.harness.training.choice.rule import Bench, Choice, Rule, fitting, run_flops
from mtp_eval.harness.training.choice.trial import Material, with_heads
from mtp_eval.harness.training.choice.weigh import AgreementWeights, BalanceWeights
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.runtime import resolve_runtime
from mtp_eval.harness.training.state import WATCHING_KEYS, step_folders, stored_record

CHOICE_FILE = "choice.json"
N_RULES: Mapping[str, Rule] = {
    "foresight": Foresight(),
    "halving": HalvingN(),
    "gain": Gain(),
    "agreement": Agreement(),
}
WEIGHT_RULES: Mapping[str, Rule] = {
    "halving": HalvingWeights(),
    "balance": BalanceWeights(),
    "agreement": AgreementWeights(),
}


def chosen_config(
    config: TrainConfig, data: Mixture, tokenizer: Tokenizer, out: Path, processes: Processes
) -> tuple[TrainConfig, dict[str, Any] | None]:
    """The config to train with, and the record of what was chosen; the config itself and None where nothing is to be.

    Raises:
        InputError: a choice cannot be made, or `out` holds one for another config or other text.
    """
    if not config.choice.wanted:
        return config, None
    if processes.world_size > 1:
        raise InputError(
            "a choice is made by one process, and torchrun started several: train with one until it says what it chose "
            f"(OUT/{CHOICE_FILE}), and give the numbers to torchrun: --set model.n_future=N, --set loss.head_weights=[...]"
        )
    file, asked = out / CHOICE_FILE, fingerprint(config, data)
    record = _stored(out, asked)
    if record is None:
        record = {"asked": asked, **_made(config, data, tokenizer)}
        write_file(file, [json.dumps(record, indent=1) + "\n"])
    say(f"chosen ({file}): {record['said']}")
    return with_heads(config, record["n_future"], record["head_weights"]), record


def fingerprint(config: TrainConfig, data: Mixture) -> dict[str, str]:
    """What a choice depends on: it is taken up again where this is the same."""
    decides = {key: value for key, value in config.model_dump(mode="json").items() if key not in WATCHING_KEYS}
    decides["data"].pop("cache")
    budget = {key: decides.pop(key) for key in ("steps", "tokens")}
    text = json.dumps(decides, sort_keys=True)
    return {
        "config": hashlib.sha256(text.encode()).hexdigest()[:24],
        "budget": json.dumps(budget),
        "text": data.fingerprint,
    }


def _stored(out: Path, asked: Mapping[str, str]) -> dict[str, Any] | None:
    """The record of an earlier call; None where there is none for this config, and no run has begun with it.

    A run that has begun keeps its choice when it is extended, with a larger budget and more text. Its checkpoints have the record, too.

    Raises:
        InputError: the run in the folder began with a choice for another config or without one, or its record is damaged.
    """
    file, steps = out / CHOICE_FILE, step_folders(out)
    if not file.exists() and not steps:
        return None
    try:
        found = json.loads(file.read_text("utf-8")) if file.exists() else stored_record(steps[-1]).get("choice")
        if found is None:
            raise InputError(f"{out} holds a run that began without a choice: give the n and the weights that it has")
        record: dict[str, Any] = found
        was, _ = record["asked"], (record["n_future"], record["head_weights"], record["said"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} cannot be read ({error!r}): remove it; the same command finds its content in the run's checkpoints, or makes the "
            "choice again where there are none"
        ) from None
    if was == asked or (steps and was["config"] == asked["config"]):
        return record
    if steps:
        raise InputError(
            f"{file} was made for another config than this one, and a run has begun with it: give the same preset and "
            "--set options (only steps or tokens may grow), or train into another --out"
        )
    return None


def _rules(config: TrainConfig) -> list[tuple[str, str, Rule]]:
    """What is to be chosen, and the rule with its name: n first, then the weights with that n."""
    choice, found = config.choice, list[tuple[str, str, Rule]]()
    if choice.n_future:
        found.append(("n", choice.rule, N_RULES[choice.rule]))
    if choice.weights:
        found.append(("weights", choice.weights_rule, WEIGHT_RULES[choice.weights_rule]))
    return found


def _made(config: TrainConfig, data: Mixture, tokenizer: Tokenizer) -> dict[str, Any]:
    """Make the choices; the record without what it was asked for."""
    started, cpu = time.monotonic(), time.process_time()
    if config.threads:
        torch.set_num_threads(config.threads)
    runtime = resolve_runtime(config, tokenizer.vocab_size)
    material = Material(data, tokenizer.vocab_size, replace(runtime, compile=False))  # which trials are too short for
    rules = _rules(config)
    flops = config.choice.share * run_flops(config, tokenizer.vocab_size) / len(rules)
    found = Choice(config.model.n_future, None, told_apart=False, reason="")
    made: list[dict[str, Any]] = []
    said, spent, tokens = [], 0.0, 0
    for about, name, rule in rules:
        candidates = fitting(config, tokenizer.vocab_size) if about == "n" else [found.n_future]
        if about == "weights" and found.n_future == 1:
            made.append({"about": about, "rule": name, "reason": "a single head has nothing to weigh"})
            continue
        with progress(f"choose {about} ({name}), per cent", 100) as bar:
            bench = Bench(config, material, candidates, flops, bar)
            found = rule.choose(bench)
        spent += bench.spent_share()
        tokens += sum(trial.step * config.tokens_per_step for trial in bench.trials)
        made.append({"about": about, "rule": name, "candidates": candidates, **asdict(found)})
        said.append(f"{_number(about, found)}: {found.reason}")
    said.append(f"this took {spent:.1%} of the training's FLOPs")
    return {
        "n_future": found.n_future,
        "head_weights": None if found.head_weights is None else list(found.head_weights),
        "said": "; ".join(said),
        "cost": {
            "flops_share": round(spent, 6),
            "tokens": tokens,
            "seconds": round(time.monotonic() - started, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
        },
        "choices": made,
    }


def _number(about: str, found: Choice) -> str:
    if about == "n":
        return f"n={found.n_future}"
    weights = found.head_weights or (1.0,) * found.n_future
    return "weights " + ", ".join(f"{weight:g}" for weight in weights)
