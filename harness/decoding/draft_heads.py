"""The number of heads to decode with, measured for this model, device and batch on the first prompts of the work itself.

In two stages, so that little work can pay for the first:

1. Some forwards with all heads, in turns with plain ones at the same places. They count how often each draft is kept, and
   what a forward costs with all heads and with one.
2. Where drafting promises a gain, or where there is work enough, the same turns with the numbers of heads between.

A cost is a ratio to the plain forward of the same turn, the median over turns: where the speed of a shared machine changes, it
changes for both. With one thread CPU time is measured, on which other processes act through shared caches and memory only.
The fastest number wins; drafting must promise a gain to be used at all.

The forwards with all heads are no waste: completions go on from them (`side_by_side`). So measuring costs the few forwards that are
only timed, what drafts cost that are not kept, and on a GPU the recording of one graph that is not used afterwards.

Only the number of drafts depends on these timings. Under the coupled rule that does not change completions (up to
floating-point rounding); `NativeBackend.choose_decoding` gives the choice as fixed settings, to be stored and repeated.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mtp_eval.harness.decoding.acceptance import Rule
from mtp_eval.harness.decoding.jobs import Job
from mtp_eval.harness.decoding.network import Network
from mtp_eval.harness.decoding.side_by_side import SideBySide

LEAST_GAIN = 1.05
"""Below, a promised gain is within what the measurement can be wrong by."""
_SHARE = {"cpu": 0.06, "cuda": 0.1}
"""Of the work's plain forwards that measuring may cost, should drafting turn out not to pay. On a GPU that is some milliseconds, and
drafting paid in every case that was measured there, up to fourfold."""
_OBSERVATIONS = 16  # of whether drafts are kept, rows times forwards: at least
# Completions begin with fewer drafts kept than they go on with, so some more forwards are counted where that is affordable.
_LEAST_STEPS, _ENOUGH_STEPS, MOST_STEPS = (2, 10), 16, 24
_TURNS = 4, 3  # of plain forwards beside those with all heads, and in the second stage: at most
_GRAPH_STEPS = 8  # forwards that recording a GPU's graph is worth


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen number of heads and what was measured for it; each mapping is by number of heads.

    Args:
        batch: rows it was measured with.
        draft_heads: the fastest number of heads; 1 is plain decoding.
        step_seconds: time of one forward, the median of those timed.
        cost: of one forward in plain ones, the median over turns.
        tokens_per_forward: expected tokens that it confirms.
        speedup: expected rate over plain decoding of the same model.
    """

    batch: int
    draft_heads: int
    step_seconds: Mapping[int, float]
    cost: Mapping[int, float]
    tokens_per_forward: Mapping[int, float]
    speedup: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON, for decoding.json."""
        return asdict(self)


def candidates(n_future: int) -> list[int]:
    """Numbers of heads that are tried: all up to 4, then every second, and n."""
    return sorted({k for k in range(1, n_future + 1) if k <= 4 or k % 2 == 0} | {n_future})


def worth_measuring(forwards: float, batch: int, n_future: int, device: torch.device) -> bool:
    """Whether so many plain forwards of this many rows can pay for the first stage, even if it finds nothing."""
    steps = _counted_steps(batch, n_future, 0.0)
    drafts = steps * (_forward_cost(n_future) - 1)  # every forward confirms a token at least, which is kept
    return drafts + min(steps, _TURNS[0] + 1) + _graph_steps(device) <= share(device) * forwards


@torch.inference_mode()
def measure(
    networks: Mapping[int, Network], rule: Rule, jobs: Sequence[Job], forwards: float, capacity: int = 0
) -> tuple[Plan, SideBySide]:
    """Measure on these jobs, all in one batch; the work they stand for takes `forwards` plain forwards in all.

    Args:
        capacity: tokens that rows shall have room for, so that they can go on; 0 for no more than measuring needs.

    Returns the plan, and the batch as it was left.
    """
    most, batch = max(networks), len(jobs)
    stage = SideBySide(networks, rule, jobs, MOST_STEPS, capacity)
    seconds: dict[int, list[float]] = {k: [] for k in networks}
    costs: dict[int, list[float]] = {k: [] for k in networks}
    allowed = share(stage.device) * forwards
    steps = _counted_steps(batch, most, allowed)
    for step in range(steps):
        timed = step % max(1, steps // _TURNS[0]) == 0
        plain = stage.time_only(1) if timed else 0.0
        all_heads = stage.advance()
        if timed:
            _note(seconds, costs, {1: plain, most: all_heads})
    confirmed = _confirmed(torch.cat(stage.kept), networks)
    # Costs grow about evenly with the number of heads, which tells where to look further.
    slope = (statistics.median(costs[most]) - 1) / (most - 1)
    guess = {k: confirmed[k] / (1 + slope * (k - 1)) for k in networks}
    between = sorted((k for k in networks if k not in (1, most)), key=lambda k: -guess[k])

    def work() -> float:
        return _TURNS[1] * (1 + sum(map(_forward_cost, between))) + len(between) * _graph_steps(stage.device)

    if work() > 0.5 * allowed:  # it is not nothing: a promised gain over what is known has to pay for it
        between = [k for k in between if guess[k] >= max(guess[most], LEAST_GAIN)]
        between = between[:2] if work() > 0.25 * forwards * (1 - 1 / max(guess.values())) else between
        between = between if work() <= 0.25 * forwards * (1 - 1 / max(guess.values())) else []
    for _ in range(_TURNS[1] if between else 0):
        _note(seconds, costs, {k: stage.time_only(k) for k in (1, *between)})
    known = [k for k in networks if costs[k]]
    cost = {k: statistics.median(costs[k]) for k in known}
    speedup = {k: confirmed[k] / cost[k] for k in known}
    best = max(speedup, key=lambda k: speedup[k])
    plan = Plan(
        batch=batch,
        draft_heads=best if speedup[best] >= LEAST_GAIN else 1,
        step_seconds={k: statistics.median(seconds[k]) for k in known},
        cost=cost,
        tokens_per_forward={k: confirmed[k] for k in known},
        speedup=speedup,
    )
    return plan, stage


def _note(seconds: dict[int, list[float]], costs: dict[int, list[float]], turn: Mapping[int, float]) -> None:
    for k, value in turn.items():
        seconds[k].append(value)
        costs[k].append(value / turn[1])


def share(device: torch.device) -> float:
    """Of the work that measuring may cost."""
    return _SHARE.get(device.type, _SHARE["cpu"])


def _counted_steps(batch: int, n_future: int, allowed: float) -> int:
    """Forwards with all heads: as many as the allowance pays for were they made in vain, as when another number is chosen."""
    least = min(max(-(-_OBSERVATIONS // batch), _LEAST_STEPS[0]), _LEAST_STEPS[1])
    affordable = int((0.8 * allowed - _TURNS[0]) / _forward_cost(n_future))
    wanted = MOST_STEPS if batch < _TURNS[0] else _ENOUGH_STEPS  # few rows say less each
    return max(least, min(wanted, affordable))


def _forward_cost(heads: int) -> float:
    """Of a forward with drafts, in plain ones, before anything is known: on the high side."""
    return 1 + heads / 6


def _graph_steps(device: torch.device) -> int:
    return _GRAPH_STEPS if device.type == "cuda" else 0


def _confirmed(kept: torch.Tensor, networks: Mapping[int, Network]) -> dict[int, float]:
    """Expected tokens of a forward with k heads: 1, and for each draft how often it and all before it were kept."""
    return {k: 1 + sum((kept >= j).double().mean().item() for j in range(1, k)) for k in networks}
