"""How many heads to use: measured for this model, device and batch, on the first prompts of the work itself.

Acceptance is counted in a few steps with all heads: what k heads would confirm follows from how often the first k − 1 drafts
were all kept. The time of a step is measured for every k, in turns, so that a busy machine slows all of them alike. The
fastest k wins; drafting must promise a gain to be used at all.

Only the number of drafts depends on these timings. Under the coupled rule that does not change completions (up to
floating-point rounding); `NativeBackend.resolve` gives the choice as fixed settings, to be stored and repeated.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mtp_eval.harness.decoding.engine import Job
from mtp_eval.harness.decoding.network import Network
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.rows import Rows
from mtp_eval.harness.decoding.verifying import Rule

COUNTED_STEPS = 12
_ROUNDS, _STEPS_A_ROUND, _WARM_UP = 3, 2, 1
LEAST_GAIN = 1.05  # below, a promised gain is within what the measurement can be wrong by


@dataclass(frozen=True, slots=True)
class Plan:
    """A choice with its reasons; each mapping is by number of heads.

    Args:
        batch: rows it was measured with.
        draft_heads: the fastest number of heads; 1 is plain decoding.
        step_seconds: time of one forward with drafting.
        tokens_per_forward: expected tokens that it confirms.
        speedup: expected rate over plain decoding of the same model.
    """

    batch: int
    draft_heads: int
    step_seconds: Mapping[int, float]
    tokens_per_forward: Mapping[int, float]
    speedup: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)


def measuring_steps(n_future: int) -> int:
    """Forwards that `measure` spends."""
    return COUNTED_STEPS + len(candidates(n_future)) * (_WARM_UP + _ROUNDS * _STEPS_A_ROUND)


def candidates(n_future: int) -> list[int]:
    """Numbers of heads that are tried: all up to 4, then every second, and n."""
    return sorted({k for k in range(1, n_future + 1) if k <= 4 or k % 2 == 0} | {n_future})


@torch.inference_mode()
def measure(networks: Mapping[int, Network], rule: Rule, jobs: Sequence[Job]) -> Plan:
    """Measure every number of heads on these jobs, all in one batch."""
    most = max(networks)
    prompts = [job.prompt for job in jobs]
    longest = max(map(len, prompts))
    steps = max(COUNTED_STEPS, _WARM_UP + _ROUNDS * _STEPS_A_ROUND)
    capacity = longest + (steps + 1) * most
    unique = list(dict.fromkeys(prompts))
    prefixes = dict(zip(unique, networks[most].prefill([prompt[:-1] for prompt in unique]), strict=True))
    keys = [row_key(job.seed) for job in jobs]

    def started(network: Network, kv: torch.Tensor | None) -> Rows:
        rows = Rows(network, rule, len(jobs), capacity, kv)
        cut = [prefixes[prompt].of_first(network) for prompt in prompts]
        rows.start(list(range(len(jobs))), prompts, keys, cut)
        return rows

    rows = started(networks[most], None)
    kept = torch.cat([_kept_after_step(rows, longest + i * most) for i in range(COUNTED_STEPS)])
    confirmed = {k: 1 + sum((kept >= j).double().mean().item() for j in range(1, k)) for k in networks}
    by_heads = {k: started(network, rows.kv) for k, network in networks.items()}
    times: dict[int, list[float]] = {k: [] for k in networks}
    for turn in range(-1, _ROUNDS):
        for k, these in by_heads.items():
            n_steps = _WARM_UP if turn < 0 else _STEPS_A_ROUND
            seconds = _time_steps(these, n_steps, longest + steps * most)
            if turn >= 0:
                times[k] += seconds
    cost = {k: statistics.median(seconds) for k, seconds in times.items()}
    speedup = {k: confirmed[k] / confirmed[1] * cost[1] / cost[k] for k in networks}
    best = max(speedup, key=lambda k: speedup[k])
    return Plan(len(jobs), best if speedup[best] >= LEAST_GAIN else 1, cost, confirmed, speedup)


def _kept_after_step(rows: Rows, longest: int) -> torch.Tensor:
    rows.step(longest)
    return rows.kept_B.clone()


def _time_steps(rows: Rows, n_steps: int, longest: int) -> list[float]:
    seconds = []
    for _ in range(n_steps):
        _synchronize(rows)
        start = time.perf_counter()
        rows.step(longest)
        _synchronize(rows)
        seconds.append(time.perf_counter() - start)
    return seconds


def _synchronize(rows: Rows) -> None:
    if rows.lengths_B.device.type == "cuda":
        torch.cuda.synchronize()
