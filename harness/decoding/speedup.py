"""Speed-up of drafting over plain decoding of the same model: both decode the same requests, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from mtp_eval.harness.decoding.engine import Engine
from mtp_eval.harness.decoding.jobs import Job
from mtp_eval.harness.decoding.measures import SpeedUp

ROUNDS = 2


def measure_speed_up(drafting: Engine, plain: Engine, jobs: Sequence[Job], batch_size: int) -> SpeedUp:
    """Decode the jobs in turns: a round of each untimed, then `ROUNDS` of both."""
    passes = [(_timed(drafting, jobs), _timed(plain, jobs)) for _ in range(ROUNDS + 1)][1:]
    walls, cpus = zip(*((_ratio(a, b, 0), _ratio(a, b, 1)) for a, b in passes), strict=True)
    middle = [[statistics.median(turn[way][clock] for turn in passes) for way in (0, 1)] for clock in (0, 1)]
    return SpeedUp(
        n_completions=len(jobs),
        n_tokens=passes[0][0][2],
        batch_size=batch_size,
        draft_heads=drafting.network.draft_heads,
        wall=statistics.median(walls),
        cpu=statistics.median(cpus),
        wall_seconds=middle[0][0],
        plain_wall_seconds=middle[0][1],
        cpu_seconds=middle[1][0],
        plain_cpu_seconds=middle[1][1],
        rounds=ROUNDS,
    )


_Pass = tuple[float, float, int]  # wall seconds, CPU seconds, tokens


def _timed(engine: Engine, jobs: Sequence[Job]) -> _Pass:
    _synchronize(engine)
    wall, cpu = time.perf_counter(), time.process_time()
    n_tokens = sum(len(decoded.tokens) for decoded in engine.run(jobs))
    _synchronize(engine)
    return time.perf_counter() - wall, time.process_time() - cpu, n_tokens


def _ratio(drafting: _Pass, plain: _Pass, clock: int) -> float:
    return (drafting[2] / drafting[clock]) / (plain[2] / plain[clock])


def _synchronize(engine: Engine) -> None:
    if engine.network.device.type == "cuda":
        torch.cuda.synchronize()
