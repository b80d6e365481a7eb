"""Warm-up of a zygote before the first program: run a sample, then settle its heap, so that forks touch few pages."""

from __future__ import annotations

import gc
import marshal
import os
import sys
from binascii import b2a_base64
from typing import Any

from mtp_eval.sandbox.jailed import child
from mtp_eval.sandbox.wire.frames import from_bytes, to_bytes

_SAMPLE = """
from typing import Any, Dict, List, Optional, Tuple
import math
class Point:
    def __init__(self, x): self.x = x
def sample(numbers: List[float], threshold: float) -> bool:
    counts = {}
    for n in numbers: counts[n] = counts.get(n, 0) + 1
    words = ' '.join(str(n) for n in sorted(counts, key=lambda n: -n) if n > threshold).upper().split()
    return any(abs(a - b) < threshold for i, a in enumerate(numbers) for b in numbers[i + 1:]), words
"""
_TESTS = """
def check(candidate):
    assert candidate([1.0, 2.5, 3], 0.5)[0] is False
    assert candidate([1.0, 1.0], 0.5)[1] == ["1.0"]
check(sample)
"""


def warm_up() -> None:
    """Run a sample as a program would be run, then settle the heap.

    A forked child pays for every memory page that it changes, some 4 us each in a virtual machine. Code that has run
    has its inline caches filled and does not change its pages again; free blocks that are taken now make the child's
    own objects lie together on fresh pages instead of between the zygote's.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    packed = b2a_base64(marshal.dumps([compile(_TESTS, "<tests>", "exec")]), newline=False).decode()
    call = ["sample", [["l", 1.0, 2.5, 3], 0.5], []]
    requests = [
        ["exec", 1, _SAMPLE, ["sample", "Point"], [call] * 6, []],
        ["call", 8, 0, *call[1:]],
        ["tests", 3, packed, ["sample"], "token"],
    ]
    for _ in range(8):
        answerer = child.Answerer()
        for request in requests:
            child.handle(nowhere, answerer, from_bytes(to_bytes(request)[4:]))
    os.close(nowhere)
    sys.modules.pop("program", None)
    gc.collect()
    _settled.extend(_fill_free_blocks())
    gc.freeze()


_settled: list[Any] = []


def _fill_free_blocks() -> list[Any]:
    """Objects that fill what is free between others, so that a child's own lie together on fresh pages.

    First the interpreter's pools, one size class after another until a pool is new, then libc's heap until a block
    comes from its upper end.
    """
    filling: list[Any] = []
    for size in range(16, 513, 16):
        for _ in range(_POOL_BYTES // size * 8):
            block = object() if size == 16 else float(size) if size == 32 else bytes(size - _BYTES_OVERHEAD)
            if (id(block) - _POOL_HEADER_BYTES) % _POOL_BYTES == 0:
                break
            filling.append(block)
    end = id(bytes(96 << 10))
    for size in (*range(64 << 10, 4 << 10, -(2 << 10)), *range(4 << 10, 528, -64)):
        for _ in range(200):
            block = bytes(size)
            if id(block) >= end:
                break
            filling.append(block)
    return filling


_BYTES_OVERHEAD, _POOL_BYTES, _POOL_HEADER_BYTES = 33, 16 << 10, 48
