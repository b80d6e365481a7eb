"""EvalPlus's rules of comparison, against a table written by hand and against numpy's allclose."""

from __future__ import annotations

import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mtp_eval.tasks.plus import ORACLES, encode, encode_output
from mtp_eval.tasks.plus_oracle import Digest, agrees, close, decode, digest, right, run_cases
from mtp_eval.tasks.plus_values import CONVERSIONS, arguments_of


@pytest.mark.parametrize(
    ("out", "expected", "atol", "same"),
    [
        (1, 1.0, 0, True),  # equality does not look at types
        (True, 1, 0, True),
        ([1, 2], (1, 2), 0, False),
        (0.1 + 0.2, 0.3, 0, True),  # a float is compared within 1e-6
        (0.31, 0.3, 0, False),
        (0.3, "0.3", 0, False),
        ([0.1 + 0.2], [0.3], 0, True),
        ((0.1 + 0.2,), [0.3], 0, False),  # ... of the same type
        ([0.1 + 0.2, 1], [0.3, 1], 0, False),  # ... only where all are floats
        ([0.3], [0.3, 0.3], 0, False),
        (3, 3.0000001, 0, False),  # an int is not the type of a float
        (1.00005, 1.0, 1e-4, True),  # the problem's own tolerance
        (100, 99.99999, 1e-4, False),
        (float("nan"), float("nan"), 0, False),
        (float("inf"), float("inf"), 0, True),
        (None, 0.0, 0, False),
        ([], [], 0, True),
    ],
)
def test_agreement(out, expected, atol, same):
    assert agrees(out, expected, atol) is same


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5), st.sampled_from([1e-6, 1e-4]))
@settings(max_examples=300, deadline=None)
def test_closeness_is_numpys(pairs, atol):
    out, expected = [a for a, _ in pairs], [b for _, b in pairs]
    assert close(out, expected, atol) == bool(np.allclose(out, expected, rtol=1e-7, atol=atol))


leaves = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=5)
values = st.recursive(
    leaves | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
mixed = st.lists(st.integers(-5, 5) | st.booleans() | st.floats(-3, 3) | st.text(max_size=2), max_size=4)


@given(values)
@settings(max_examples=300, deadline=None)
def test_encoding_is_lossless_through_json(value):
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)


def test_sets_and_huge_numbers_survive():
    value = ({1, 2}, frozenset({"a"}), 10**6000, b"\x00\xff", -(2**70))
    assert decode(json.loads(json.dumps(encode(value)))) == value


@given(mixed, mixed)
@settings(max_examples=500, deadline=None)
def test_digests_are_equal_exactly_when_the_values_are(a, b):
    assert (digest(a) == digest(b)) is (a == b)
    assert digest(a) == digest([float(x) if isinstance(x, int) else x for x in a])


def test_a_huge_answer_is_compared_by_digest_and_a_huge_float_list_is_not():
    text = "0 1 2 " * 10_000
    expected = decode(json.loads(json.dumps(encode_output(text))))
    assert isinstance(expected, Digest)
    assert agrees(text, expected, 0)
    assert not agrees(text + " ", expected, 0)
    floats = [0.1] * 10_000
    kept = decode(json.loads(json.dumps(encode_output(floats))))
    assert agrees([0.1 + 1e-9] * 10_000, kept, 0), "the tolerance still applies"


@pytest.mark.parametrize(
    ("oracle", "out", "expected", "arguments", "verdict"),
    [
        ("root", 2.0, None, [[-4, 0, 1]], True),
        ("root", -2.0, None, [[-4, 0, 1]], True),
        ("root", 1.0, None, [[-4, 0, 1]], False),
        ("same set", [3, 1, 1], (1, 3), [], True),
        ("same set", [3], (1, 3), [], False),
        ("not none", "match", True, [], True),
        ("not none", None, False, [], True),
        ("not none", None, True, [], False),
        ("not none", False, True, [], False),
        ("any", "whatever", True, [], True),
        ("or zero", 0, 7, [], True),
        ("or zero", 3, 7, [], False),
        ("or padded digits", 2, 99, [12, 3], True),  # |1 - 0| + |2 - 3|
        ("or padded digits", 3, 99, [12, 3], False),
    ],
)
def test_special_oracles(oracle, out, expected, arguments, verdict):
    assert right(oracle, out, expected, arguments, 1e-4) is verdict


def test_the_first_wrong_input_is_named_by_group():
    payload = json.dumps([["base", [[1], [2]], [1, 2]], ["plus", [[3], [4]], [3, 4]]])
    run_cases(lambda x: x, payload, "", 0)
    with pytest.raises(AssertionError, match="plus input 1: expected 4, got 5"):
        run_cases(lambda x: x if x < 4 else 5, payload, "", 0)


def test_a_program_cannot_change_its_inputs_for_the_comparison():
    payload = json.dumps([["base", [[[-4, 0, 1]]], [0]]])
    with pytest.raises(AssertionError):
        run_cases(lambda xs: xs.clear() or 9.0, payload, "root", 1e-4)


def test_conversions_name_each_problem_once():
    numbers = [number for _, of in CONVERSIONS.values() for number in of]
    assert len(numbers) == len(set(numbers))
    assert sum(map(len, ORACLES.values())) == len({name for names in ORACLES.values() for name in names})
    assert arguments_of("Mbpp/2", [[[1], [2]]]) == [[(1,), (2,)]]
    assert arguments_of("Mbpp/63", [[[[1, 2]]]]) == [[[(1, 2)]]]
    assert arguments_of("Mbpp/259", [[[[1, 2]], [[3]]]]) == [[((1, 2),), ((3,),)]]
    assert arguments_of("Mbpp/252", [["1+2j"]]) == [[1 + 2j]]
    assert math.isclose(abs(1 + 2j), 5**0.5)
    assert arguments_of("HumanEval/2", [[[1]]]) == [[[1]]]
