"""Messages on the sandbox's sockets: frames of JSON between tests and program, commands between worker and zygote.

Both sides import this file. A frame is four bytes of length and a JSON list that begins with a word; no spaces, ASCII.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from typing import Any

MAX_FRAME_BYTES = 16 << 20
"""One call or one reply; more is an `output_limit`."""
HELLO_BYTES = 65536
RUN = struct.Struct("=cI")
"""R, CPU seconds; the first request's frame body follows, or nothing where it comes on the program's socket."""
MAX_RUN_BYTES = 64 << 10 if sys.platform == "linux" else RUN.size
"""Whole messages: Linux takes some 200 KiB on a local socket, others next to nothing."""
USAGE = struct.Struct("=cidQ")
"""X, wait status, CPU seconds, peak bytes."""
RANDOM_SEED = 0
"""Of `random`, where tests begin and where a program imports it: the same draws in every run."""


class NotEncodable(Exception):  # noqa: N818
    """A value that this encoding does not carry; the message names its type."""


class NestedTooDeeply(NotEncodable):
    """Deeper than `MAX_DEPTH`, or a cycle."""


class TooLarge(NotEncodable):
    """More than a frame holds."""


class BadFrame(Exception):  # noqa: N818
    """Bytes that are no valid encoding: the other side is broken or hostile."""


def _make_encoder() -> Callable[[Any], str]:
    """json.dumps without spaces, its C encoder made once: a value here is a tree and needs no look-out for cycles."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    chunks = make(None, _refuse, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    join = "".join
    return lambda value: join(chunks(value, 0))


def _refuse(value: Any) -> Any:
    raise NotEncodable(f"a value of type {type(value).__name__}")


to_json = _make_encoder()
"""A JSON-able value as text, in ASCII."""
_scan: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]


def to_bytes(frame: list[Any]) -> bytes:
    """One frame on the wire: four bytes of length, then JSON.

    Raises:
        TooLarge: larger than a frame may be.
    """
    body = to_json(frame).encode("ascii")
    if len(body) > MAX_FRAME_BYTES:
        raise TooLarge(f"a frame of {len(body)} bytes; the limit is {MAX_FRAME_BYTES}")
    return len(body).to_bytes(4, "big") + body


def from_bytes(body: bytes | bytearray) -> list[Any]:
    """The frame that a body holds.

    Raises:
        BadFrame: not JSON, or not a list that begins with a string.
    """
    try:
        text = str(body, "utf-8")
        frame, end = _scan(text, 0)
    except (ValueError, RecursionError, StopIteration) as error:
        raise BadFrame(f"not a frame: {type(error).__name__}"[:200]) from None
    if end != len(text) or type(frame) is not list or not frame or type(frame[0]) is not str:
        raise BadFrame("not a frame: a list that begins with a word was expected")
    return frame
