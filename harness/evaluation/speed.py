"""How fast a model decodes: by domain, prompt length, batch, temperature and number of heads.

A speed-up is the rate over plain decoding of the same model on the same prompts, measured in turns; a rate counts the
tokens of completions, and its time includes that of the prompts. Acceptance is counted on the same completions.
After the paper's Tables S2 and S3 (arXiv 2404.19737), and SPEED-Bench (arXiv 2604.09557) on what to vary: acceptance depends on the
domain, and the best number of heads on the batch, so that one number for a model says little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mtp_eval.harness.backends.base import DecodingSettings
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.backends.registry import model_labels
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.speed_config import SpeedConfig
from mtp_eval.harness.evaluation.speed_prompts import Domain, places, requests
from mtp_eval.harness.evaluation.speed_store import SPEED_FILE, Place, SpeedRow, SpeedStore
from mtp_eval.tasks.problem import Request

ROUNDS = 2
"""Timed passes of a model that has no second way; where there is one, both are timed in turns, as `--verify-decoding` does."""


def measure_speed(
    config: SpeedConfig, domains: Mapping[str, Domain], say: Callable[[str], None] = lambda line: None
) -> list[SpeedRow]:
    """The rows asked for, of which only those are measured that the folder does not hold; each place is stored at once.

    Args:
        domains: texts by name.
        say: is told of every place.

    Raises:
        InputError: a model that cannot be opened or has fewer heads, prompts that do not fit, or a folder of other settings,
            another machine or other weights.
    """
    for spec in config.model:
        if ":" in spec and not Path(spec).exists():
            raise InputError(
                f"--model {spec}: speed is measured on checkpoint folders, of which every number of heads can be asked; "
                "an hf: model becomes one by `mtp-eval convert`"
            )
    models = {
        label: NativeBackend(path, device=config.device, dtype=config.dtype)
        for label, path in zip(model_labels(config.model), config.model, strict=True)
    }
    for model in models.values():
        for k in config.heads:
            model.check(DecodingSettings(draft_heads=k))
    wanted = places(config, models, domains, say)
    facts = {label: model.facts() for label, model in models.items()}
    settings = config.common | {name: facts[wanted[0].model][name] for name in ("device", "dtype")}
    store = SpeedStore.open(config.out / SPEED_FILE, settings, facts)
    for place in wanted:
        model = models[place.model]
        missing = [k for k in heads_of(model, config) if (place, k) not in store.rows]
        if missing:
            asked = requests(model, place, domains[place.domain], config)
            store.rows |= {(place, row.heads): row for row in measured(model, place, asked, missing, config)}
            store.write()
            say(sentence([row for (at, _), row in store.rows.items() if at == place]))
    return [store.rows[place, k] for place in wanted for k in heads_of(models[place.model], config)]


def heads_of(model: NativeBackend, config: SpeedConfig) -> list[int]:
    """The numbers of heads to compare, plain decoding first."""
    n = model.config.n_future
    usual = [k for k in range(1, n + 1) if k <= 4 or k == n or k & (k - 1) == 0]
    return sorted({1, *(config.heads or usual)})


def measured(
    model: NativeBackend, place: Place, asked: Sequence[Request], heads: Sequence[int], config: SpeedConfig
) -> Iterator[SpeedRow]:
    """A row for each number of heads at one place."""
    plain_rates = list[float]()
    for k in sorted(heads, reverse=True):  # plain decoding last: its rate is known from the turns with the others
        settings = DecodingSettings(
            temperature=place.temperature,
            top_p=config.top_p,
            decode="self-speculative",
            draft_heads=k,
            batch_size=place.batch_size,
        )
        done = list(model.generate(asked, settings))
        n_tokens, n_forwards = sum(one.n_tokens for one in done), sum(one.n_forwards for one in done)
        if not n_forwards:
            raise InputError(
                f"{place.model}: every completion of {place.domain} ends with its first token, so that there is no rate to measure: "
                "leave this --domain out"
            )
        drafted = map(sum, zip(*(one.n_drafted for one in done), strict=True))
        accepted = map(sum, zip(*(one.n_accepted for one in done), strict=True))
        pair = model.speed_up(asked, settings)
        if pair is not None:
            plain_rates.append(pair.n_tokens / pair.plain_wall_seconds)
            rate = pair.n_tokens / pair.wall_seconds
        else:
            rate = statistics.median(plain_rates or [n_tokens / _seconds(model, asked, settings)])
        yield SpeedRow(
            **asdict(place),
            mean_prompt_tokens=statistics.fmean(one.prompt_tokens for one in done),
            heads=k,
            n_completions=len(done),
            n_tokens=n_tokens,
            tokens_per_forward=n_tokens / n_forwards,
            acceptance=tuple(kept / max(made, 1) for kept, made in zip(accepted, drafted, strict=True)),
            speed_up=pair.wall if pair else 1.0,
            speed_up_cpu=pair.cpu if pair else 1.0,
            tokens_per_second=rate,
        )


def _seconds(model: NativeBackend, asked: Sequence[Request], settings: DecodingSettings) -> float:
    def once() -> float:
        started = time.perf_counter()
        for _ in model.generate(asked, settings):
            pass
        return time.perf_counter() - started

    return statistics.median(once() for _ in range(ROUNDS))


def sentence(rows: Sequence[SpeedRow]) -> str:
    """What was measured at one place."""
    at, plain = rows[0].place, next(row for row in rows if row.heads == 1)
    length = f"{at.prompt_tokens} tokens, " if at.prompt_tokens else ""
    ratios = ", ".join(
        f"{row.heads} heads {row.speed_up:.2f}" for row in sorted(rows, key=lambda row: row.heads) if row.heads > 1
    )
    return (
        f"{at.model}: {at.domain}, {length}batch {at.batch_size}, T={at.temperature:g}: "
        f"{plain.tokens_per_second:,.0f} tokens/s plainly" + (f"; times that: {ratios}" if ratios else "")
    )
