"""Which of a CPU's kernels is faster from what size on: measured on an AMD EPYC and an Intel Xeon, both with AVX-512, torch 2.13.

The maker decides, and no timing, so that a run that is continued has the same rounding. Other processors are taken for AMD's: MKL, which
multiplies small matrices, does that well on Intel's only.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes, in elements.

    Args:
        blocked_from: of a matrix from which oneDNN's blocked layout is faster for several rows; below, its calls cost more than it gains.
        only_blocked_from: of a matrix that is kept in no other layout, for a single row either.
        streamed: of the keys of one layer, between which one query a row is better done as element-wise products than by the
            fused attention; (0, 0) for never.
    """

    blocked_from: int
    only_blocked_from: int
    streamed: tuple[int, int]


AMD = Limits(blocked_from=60_000, only_blocked_from=800_000, streamed=(100_000, 500_000))
INTEL = Limits(blocked_from=1_500_000, only_blocked_from=4_000_000, streamed=(0, 0))


@functools.cache
def limits() -> Limits:
    """Those of this machine's processor."""
    try:
        known = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return AMD
    return INTEL if "GenuineIntel" in known else AMD
