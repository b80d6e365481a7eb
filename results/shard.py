"""One of the shards in which several processes or machines make a run: `--shard 3/8`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, order=True)
class RunShard:
    """Shard `index` of `of`, counted from 1.

    >>> str(RunShard.parse("3/8")), [number for number in range(20) if RunShard(3, 8).has(number)]
    ('3/8', [2, 10, 18])
    """

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "3/8".

        Raises:
            ValueError: it is not one of that many.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError("expected I/N with I from 1 to N, such as 3/8")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_header(cls, entry: Mapping[str, Any]) -> Self:
        """The shard that an entry of run.json names."""
        return cls(int(entry["index"]), int(entry["of"]))

    def has(self, number: int) -> bool:
        """Whether a piece of work, numbered from 0, is this shard's: shard i has the pieces i-1, i-1+of, i-1+2of, ..."""
        return number % self.of == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"
