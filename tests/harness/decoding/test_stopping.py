"""Where completions end: stop tokens, stop strings across tokens, and characters cut in half."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mtp_eval.harness.decoding.jobs import Decoded, Job
from mtp_eval.harness.decoding.stopping import Stop
from mtp_eval.harness.models.tokenizers import ByteTokenizer

EOS = ByteTokenizer.eos_id


def decoded(text: bytes, blocks: Sequence[int], strings: Sequence[str], limit: int = 100, eos: bool = False) -> Decoded:
    """Feed a text's bytes in blocks of these sizes, as forwards would confirm them."""
    tokens = [*text, *([EOS] if eos else [])]
    row = Decoded(
        Job(0, (256,), 0, limit, Stop(ByteTokenizer().decode, frozenset({EOS}), tuple(strings))),
        n_drafted=[0] * 3,
        n_accepted=[0] * 3,
    )
    at = 0
    for size in blocks:
        if row.add(tokens[at : at + size]):
            break
        at += size
    return row


@pytest.mark.parametrize("blocks", [[1] * 30, [4] * 10, [3, 2, 4, 1, 4, 4, 4, 4], [2] * 15])
@pytest.mark.parametrize(
    ("text", "strings", "expected", "n_tokens"),
    [
        (b"return a\n\ndef f", ["\n\n"], "return a", 10),
        (b"x = 1\nclass A:\n", ["\nclass", "\ndef"], "x = 1", 11),
        ("naïve\nπ≤4 stop".encode(), ["π≤4"], "naïve\n", 13),
        (b"ab aab aaab", ["aaab", "zzz"], "ab aab ", 11),
        (b"a#b", ["#", "a#b"], "a", 2),
    ],
)
def test_stop_string(text: bytes, strings: list[str], expected: str, n_tokens: int, blocks: list[int]) -> None:
    row = decoded(text, blocks, strings)
    assert row.reason == "stop"
    assert row.job.stop.text(row.tokens, row.reason) == expected
    assert (
        len(row.tokens) == n_tokens
    )  # the same whatever the blocks: tokens after the stop string's last one are dropped


def test_the_earliest_stop_string_counts() -> None:
    row = decoded(b"one two three", [4, 4, 4, 1], ["two t", "wo"])
    assert row.job.stop.text(row.tokens, row.reason) == "one t"


def test_end_token_comes_first_and_is_counted() -> None:
    row = decoded(b"ab", [4], ["zz"], eos=True)
    assert (row.reason, len(row.tokens), row.job.stop.text(row.tokens, row.reason)) == ("eos", 3, "ab")


def test_half_a_character_at_the_length_limit_is_dropped_and_odd_bytes_inside_are_kept() -> None:
    row = decoded("x≤".encode(), [1, 1, 1], [], limit=3)
    assert (row.reason, row.job.stop.text(row.tokens, row.reason)) == ("length", "x")
    row = decoded(b"x\xffy", [1, 1, 1], [], limit=3)
    assert row.job.stop.text(row.tokens, row.reason) == "x\udcffy"


def test_counts_of_drafts() -> None:
    row = decoded(b"abcdefgh", [4, 1, 3], [], limit=7)  # the last block offers three tokens, of which two fit
    assert (len(row.tokens), row.n_forwards) == (7, 3)
    assert row.n_accepted == [2, 2, 1]
    assert row.n_drafted == [3, 3, 2]  # in the last block only the two drafts that were needed are counted
