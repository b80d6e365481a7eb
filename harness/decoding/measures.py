"""Measurements that decoding reports beside completions: likelihoods, a comparison with plain decoding, a measured speed-up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Log-likelihood of one continuation.

    Args:
        nats: its natural-log probability given the context.
        n_tokens, n_bytes: its length.
        is_greedy: whether greedy decoding would have written it.
        n_cut: tokens of the context that did not fit.
    """

    nats: float
    n_tokens: int
    n_bytes: int
    is_greedy: bool
    n_cut: int = 0


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first token at which a completion differs from plain decoding.

    Args:
        problem_id, sample: which completion.
        token: index of the first differing token in the completion.
        plain, found: the two tokens' texts; `found` is "" where the token could not be identified.
        logit_gap: score of the plain token minus score of the other one; NaN where that could not be identified.
    """

    problem_id: str
    sample: int
    token: int
    plain: str
    found: str
    logit_gap: float


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a comparison with plain decoding."""

    n_completions: int
    n_tokens: int
    divergences: tuple[Divergence, ...]

    @property
    def largest_gap(self) -> float:
        """Largest difference of logits at a divergence; 0 where there is none."""
        return max((abs(d.logit_gap) for d in self.divergences), default=0.0)

    def summary(self) -> str:
        """One sentence."""
        if not self.divergences:
            return f"{self.n_completions} completions ({self.n_tokens} tokens) are identical to plain decoding"
        first = self.divergences[0]
        return (
            f"{len(self.divergences)} of {self.n_completions} completions ({self.n_tokens} tokens) differ from plain decoding; "
            f"first: {first.problem_id} sample {first.sample} at token {first.token}, {first.plain!r} against {first.found!r}, "
            f"logit gap {first.logit_gap:.2g}; largest gap {self.largest_gap:.2g}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON, for verification.json."""
        return asdict(self)


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
    rounds: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{self.wall:.2f} times as fast as plain decoding ({self.cpu:.2f} in CPU time), measured on "
            f"{self.n_completions} completions with {self.draft_heads} heads and batches of {self.batch_size}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The rates as JSON, for verification.json."""
        return asdict(self)
