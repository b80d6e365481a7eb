"""Stop strings that a server found half in the prompt: its texts end before they began.

A protocol's stop strings are about what the model writes. `transformers serve` looks for them in the prompt and the text together: after a
prompt that ends in a line break, a text that begins with "def" is taken for "\\ndef" and ends there.
"""

from __future__ import annotations

from collections.abc import Sequence

_TOKEN = 16
"""Characters by which a token may reach beyond the stop string that it completes; asking again where that was not so costs one request."""


def ends_in_prompt(prompt: str, text: str, stops: Sequence[str]) -> bool:
    """Whether a text ends with a stop string that begins in its prompt, and holds none of its own.

    >>> ends_in_prompt("x = 1\\n", "def", ["\\ndef"]), ends_in_prompt("x = 1", "def", ["\\ndef"])
    (True, False)
    """
    if any(stop in text for stop in stops):
        return False
    ends = [stop[n:] for stop in stops for n in range(1, len(stop)) if prompt.endswith(stop[:n])]
    return any(text.startswith(end) and len(text) < len(end) + _TOKEN for end in ends)
