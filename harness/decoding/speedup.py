"""How much faster drafting is than plain decoding of the same model: both decode the same requests, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mtp_eval.harness.decoding.engine import Engine, Job

ROUNDS = 2


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """Measured rates against plain decoding of the same model, batch and requests.

    Args:
        n_completions, n_tokens: what was decoded, each way, in each round.
        batch_size, draft_heads: how.
        wall, cpu: rate over the plain one in tokens per second, by the clock and by CPU time of this process; the median
            of the rounds.
        wall_seconds, plain_wall_seconds, cpu_seconds, plain_cpu_seconds: of a round, medians.
        rounds: how often both were timed.
    """

    n_completions: int
    n_tokens: int
    batch_size: int
    draft_heads: int
    wall: float
    cpu: float
    wall_seconds: float
    plain_wall_seconds: float
    cpu_seconds: float
    plain_cpu_seconds: float
    rounds: int = ROUNDS

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{self.wall:.2f} times as fast as plain decoding ({self.cpu:.2f} in CPU time), measured on "
            f"{self.n_completions} completions with {self.draft_heads} heads and batches of {self.batch_size}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For verification.json."""
        return asdict(self)


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
