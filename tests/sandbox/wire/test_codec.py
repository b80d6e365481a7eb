"""The encoding: what goes in comes out, and nothing but plain values comes out of anything."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, deque
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtp_eval.sandbox.wire import codec, containers, rare
from mtp_eval.sandbox.wire import frames as wire

codec.register_collections()
rare.register_rare_types()


def refuse(*_: object) -> None:
    return None


def unknown(data: list[Any]) -> Any:
    raise wire.BadFrame(f"unknown {data[0]!r}")


def there_and_back(value: Any) -> Any:
    frame = wire.to_bytes(["ok", codec.encode(value, refuse)])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return codec.decode(wire.from_bytes(frame[4:])[1], unknown)


def same(a: Any, b: Any) -> bool:
    """Equal, of equal types all the way down; nan equals nan, 0.0 is not -0.0. repr tells all of these apart."""
    return type(a) is type(b) and (repr(a) == repr(b) or (isinstance(a, (set, frozenset)) and a == b))


hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner),
    max_leaves=5,
)
values = st.recursive(
    hashable
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(categories=("Cs", "Lu")))
    | st.integers(-(10**400), 10**400)
    | st.binary().map(bytearray)
    | st.builds(range, st.integers(), st.integers(), st.integers(1))
    | st.fractions()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(hashable, inner) | st.tuples(inner, inner) | st.lists(inner).map(deque)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(values)
def test_values_come_back_exactly(value: Any) -> None:
    assert same(there_and_back(value), value)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.sets(hashable), st.frozensets(hashable))
def test_sets_come_back(some: set[Any], frozen: frozenset[Any]) -> None:
    assert there_and_back(some) == some
    assert there_and_back(frozen) == frozen
    assert type(there_and_back(frozen)) is frozenset


@pytest.mark.parametrize(
    "value",
    [
        [10**100_000],
        "\ud800\udc00",
        ["\udfff", "ok"],
        [1, True, 1.0, -0.0],
        {1: "a", "1": "b", (1,): "c"},
        Counter("aab"),
        OrderedDict([("b", 1), ("a", 2)]),
        Decimal("NaN"),
        Fraction(1, 3),
        timedelta(-1, 5, 7),
        date(2024, 2, 29),
        datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime(2024, 2, 29, 1, fold=1, tzinfo=UTC),
        datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-3), "X")),
        timezone(timedelta(minutes=90)),
        slice(1, None, 2),
        ...,
        int,
        len,
    ],
)
def test_particular_values(value: Any) -> None:
    back = there_and_back(value)
    assert type(back) is type(value)
    assert back == value or back != back


class Sub(int):
    pass


@pytest.mark.parametrize(
    "value", [object(), Sub(3), lambda: 0, open, type("T", (), {}), [object()], {1: {2: object()}}]
)
def test_what_is_not_carried_is_refused(value: Any) -> None:
    with pytest.raises(wire.NotEncodable):
        codec.encode(value, refuse)


def test_limits() -> None:
    deep: Any = 1
    for _ in range(codec.MAX_DEPTH):
        deep = [deep]
    assert there_and_back(deep) == deep
    for _ in range(5):
        deep = [deep]
    with pytest.raises(wire.NestedTooDeeply):
        codec.encode(deep, refuse)
    with pytest.raises(wire.TooLarge):
        codec.encode("x" * (wire.MAX_FRAME_BYTES + 1), refuse)
    with pytest.raises(wire.TooLarge):
        wire.to_bytes(["ok", "\n" * (wire.MAX_FRAME_BYTES - 5)])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(sorted(map(str, codec.READERS))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(json_values)
def test_forged_data_gives_a_plain_value_or_bad_frame(data: Any) -> None:
    try:
        value = codec.decode(json.loads(json.dumps(data)), unknown)
    except wire.BadFrame:
        return
    assert type(value).__module__ in {"builtins", "collections", "fractions", "decimal", "datetime"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"[1]", b"null", b"[" * 100_000, b'["a"', b"\xff", b'["ok",' + b"9" * 5000 + b"]", b"NaN"],
)
def test_forged_frames_are_refused(body: bytes) -> None:
    with pytest.raises(wire.BadFrame):
        wire.from_bytes(body)


@pytest.mark.parametrize(
    "data",
    [
        ["l", {"a": 1}],
        ["e", ["l"]],
        ["d", 1],
        ["i", 5],
        ["i", "zz"],
        ["s", "0"],
        ["b", 3],
        ["r", 1, 2, 0],
        ["c", "1", "2"],
        ["Fraction", 1, 0],
        ["Decimal", "x"],
        ["date", 1, 99, 1],
        ["builtin", "eval"],
        ["builtin", "__import__"],
        ["unknown"],
        [],
        [[1]],
    ],
)
def test_forged_values_are_refused(data: Any) -> None:
    with pytest.raises(wire.BadFrame):
        codec.decode(data, unknown)


def test_changes_in_place_keep_identity() -> None:
    inner = [1]
    outer = [inner, {"k": inner}, (2, {3})]
    found = containers.containers([outer])
    assert [type(one) for one in found] == [list, list, dict, list, set]
    containers.replace_content(found[1], [9])
    containers.replace_content(found[2], ["a", 1])
    assert outer == [[9], {"a": 1}, (2, {3})]
    assert outer[0] is inner
