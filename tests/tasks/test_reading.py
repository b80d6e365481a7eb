"""Files of others: every limit is kept and said, and what is within them reads as the standard library reads it."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtp_eval.tasks import reading
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.reading import MAX_DEPTH, parse_json, parse_values, read_text
from mtp_eval.tasks.sources import read_checked


@pytest.mark.parametrize("level", [1, 9])
def test_gzip_reads_as_the_standard_library_reads_it(tmp_path: Path, level: int) -> None:
    text = "".join(f"{n} \u00e4\U0001f600\n" for n in range(300_000))
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(text.encode(), level) + gzip.compress(b"a second member") + b"\0" * 10)
    assert read_text(path) == gzip.decompress(path.read_bytes()).decode()


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d[:-8], lambda d: d[:30], lambda d: d[:-5] + b"xxxxx"])
def test_a_torn_gzip_is_named(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(damage(gzip.compress(bytes(range(256)) * 50)))  # type: ignore[operator]
    with pytest.raises(DataError, match=r"a\.jsonl\.gz cannot be read as gzipped UTF-8 text"):
        read_text(path)


@pytest.mark.slow
def test_a_gzip_that_unpacks_without_end_costs_no_more_memory_than_the_cap(tmp_path: Path) -> None:
    """2 GiB of zeros in 2 MB, 128 times the same member: refused, in a process that could not hold them."""
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(bytes(16 << 20)) * 128)
    code = f"from pathlib import Path; from mtp_eval.tasks.reading import read_text; read_text(Path({str(path)!r}))"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limit)
    assert "unpack to more than 268,435,456; if that is right, unpack it with gunzip first" in done.stderr


def test_a_file_that_packs_well_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LEAST_CAP_BYTES", 1000)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d\n" % n for n in range(20_000))))
    assert len(read_text(path)) == 108_890


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbftext")
    assert read_text(tmp_path / "a.txt") == "text"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 700, 100_000])
def test_depth_has_a_limit_however_deep_the_caller_is(opening: str, depth: int) -> None:
    text = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    if depth <= MAX_DEPTH:
        assert parse_json(text, "here") == json.loads(text)
    else:
        with pytest.raises(DataError, match=r"^here: lists or objects nest deeper than 100$"):
            parse_json(text, "here")


def test_many_brackets_are_no_depth() -> None:
    text = json.dumps([[[]] * 50, "[" * 200, {"a": {"b": [[1]] * 80}}])
    assert parse_json(text, "here") == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7" * 5000, "an integer of more than 4,300 digits"),
        ('"\\ud800"', "half a surrogate pair"),
        ('{"\\uDfff": 1}', "half a surrogate pair"),
        ('["\\ud83d", "\\ude00"]', "half a surrogate pair"),
        ("[1,", "not JSON"),
        ("", "not JSON"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_json(text, "here", whole_characters=True)


def test_whole_surrogate_pairs_and_lone_ones_where_they_may_be() -> None:
    assert parse_json('"\\ud83d\\ude00"', "here", whole_characters=True) == "\U0001f600"
    assert parse_json('"\\ud800"', "here") == "\ud800"


@pytest.mark.slow
@given(
    st.lists(st.recursive(st.dictionaries(st.text(), st.text()), lambda inner: st.lists(inner) | inner), max_size=5),
    st.sampled_from([None, 1, 4]),
    st.sampled_from(["", "\n", "\r\n \t", "\n\ufeff\n"]),
)
def test_values_one_after_another_are_read_whatever_lines_they_take(values: list[Any], indent: int, gap: str) -> None:
    written = [json.dumps(value, indent=indent, ensure_ascii=False) for value in values]
    found = list(parse_values(gap.join(written) + gap, "here"))
    assert [value for _, value in found] == values
    before = ["".join(one + gap for one in written[:number]) for number in range(len(written))]
    assert [line for line, _ in found] == [1 + text.count("\n") for text in before]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":\n 1}\n{"b":\n 2,\n}', r"^here, line 3: not JSON \(.* at line 5, character 1\)$"),
        ('{"a":\n 1},\n{"b": 2}', r"^here, line 2: not JSON \(.* at line 2, character 4\)$"),
        ('{"a":\n 1}\n' + "[" * 101 + "]" * 101, "^here, line 3: lists or objects nest deeper than 100$"),
        ('{"a":\n 1}\n' + "[" * 100_000, "^here, line 3: lists or objects nest deeper than 100$"),
        ('{"a":\n' + "7" * 5000 + "}", "^here, line 1: an integer of more than 4,300 digits$"),
    ],
)
def test_one_of_several_values_that_cannot_be_read_is_named_by_its_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(parse_values(text, "here"))


def test_a_problem_file_with_half_a_character_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a"}\n{"id": "b\\udc00"}\n')
    with pytest.raises(DataError, match=r"p\.jsonl, line 2: half a surrogate pair"):
        read_checked(path)
