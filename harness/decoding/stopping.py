"""When a completion ends, and what its text is then: stop tokens first, stop strings second, then the length.

Text is decoded from a short window of tokens at each step, long enough for any stop string to fit in, so that a stop
string may begin and end inside tokens. An incomplete UTF-8 sequence at the end of a completion that ran out of length
is dropped.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Decode = Callable[[Sequence[int]], str]
_MARGIN_TOKENS = 8  # tokens that decode to nothing, such as special ones, take up places in the window


@dataclass(frozen=True, slots=True)
class Stop:
    """When one request's completion ends."""

    decode: Decode
    eos_ids: frozenset[int]
    strings: tuple[str, ...] = ()

    def first_end(self, tokens: Sequence[int], n_new: int) -> tuple[int, str] | None:
        """The number of tokens in the completion and the reason of its end, once it has ended; the last `n_new` tokens are new."""
        for n in range(len(tokens) - n_new + 1, len(tokens) + 1):
            if tokens[n - 1] in self.eos_ids:
                return n, "eos"
            if self.strings and self._has_stop(tokens[max(0, n - self._window) : n]):
                return n, "stop"
        return None

    def text(self, tokens: Sequence[int], reason: str) -> str:
        """The completion's text, without the stop token or string."""
        if reason == "eos":
            return self.decode(tokens[:-1])
        text = self.decode(tokens)
        if reason == "stop":
            return text[: min(at for at in map(text.find, self.strings) if at >= 0)]
        return _without_incomplete_end(text)

    @property
    def _window(self) -> int:
        return max(len(stop.encode()) for stop in self.strings) + _MARGIN_TOKENS  # a token is one byte or more

    def _has_stop(self, tokens: Sequence[int]) -> bool:
        text = self.decode(tokens)
        return any(stop in text for stop in self.strings)


def _without_incomplete_end(text: str) -> str:
    """Drop the beginning of a character whose remaining bytes were not generated."""
    if text and "\udc80" <= text[-1] <= "\udcff":  # undecodable bytes, as Python's surrogateescape keeps them
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        return decoder.decode(text.encode("utf-8", "surrogateescape"), final=False)
    return text.rstrip("\ufffd")  # what other decoders put in place of undecodable bytes
