"""Compositions of operations, and inputs that tell one from every composition that is almost the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Value = Any
"""What programs work on: a list of numbers, or a string."""
Argument = int | str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what the docstring calls it, how it is written in Python, what it does.

    `code` has {x} for the variable's name and {k} for the argument; `arguments` is empty when there is none, and `beyond`
    has those that are one off at its ends, which no problem asks for.
    """

    name: str
    code: str
    run: Callable[[Value, Any], Value]
    arguments: Sequence[Argument] = ()
    beyond: Sequence[Argument] = ()


Step = tuple[Operation, Argument]
Steps = tuple[Step, ...]


def all_steps(operations: Sequence[Operation]) -> list[Step]:
    """Every operation with each of its arguments, and with those just beyond them."""
    return [(operation, k) for operation in operations for k in (*operation.arguments, *operation.beyond) or (0,)]


def apply_steps(steps: Steps, value: Value) -> Value:
    """What the program must return, computed without executing any program text."""
    for op, k in steps:
        value = op.run(value, k)
    return value


def trace_of(steps: Steps, value: Value) -> list[Value]:
    """The value before each step, and at last what the program returns."""
    trace = [value]
    for op, k in steps:
        trace.append(op.run(trace[-1], k))
    return trace


def is_telling(steps: Steps, inputs: Sequence[Value]) -> bool:
    """Whether these inputs tell the program from the identity, from constants, and from itself less any one step."""
    outputs = [apply_steps(steps, values) for values in inputs]
    if outputs == list(inputs) or all(output == outputs[0] for output in outputs):
        return False
    shorter = (steps[:i] + steps[i + 1 :] for i in range(len(steps)))
    return all([apply_steps(fewer, values) for values in inputs] != outputs for fewer in shorter)


def near_misses(steps: Steps, others: Sequence[Step]) -> Iterator[tuple[int, Steps]]:
    """Yield programs with one mistake, each as the place of it and the steps from there on.

    The mistakes: another step (or argument) in place of one, two steps exchanged, a run of steps left out, as when a line
    reads the wrong variable.
    """
    for place, step in enumerate(steps):
        rest = steps[place + 1 :]
        yield from ((place, (other, *rest)) for other in others if other != step)
        yield from ((place, (following, step, *rest[1:])) for following in rest[:1] if following != step)
        yield from ((place, rest[skipped:]) for skipped in range(len(rest) + 1))


def telling_inputs(
    steps: Steps, inputs: Sequence[Value], others: Sequence[Step], probes: Sequence[Value]
) -> list[Value]:
    """The inputs, and as many of the probes as it takes to tell every near miss that differs on any of them."""
    traces = [trace_of(steps, value) for value in reversed(inputs)]  # the empty input tells least
    more: list[list[Value]] = []
    for place, tail in near_misses(steps, others):
        if _differing(traces, place, tail):
            continue
        more = more or [trace_of(steps, value) for value in probes]
        if found := _differing(more, place, tail):
            traces.append(found)
    return [trace[0] for trace in traces]


def _differing(traces: Sequence[list[Value]], place: int, tail: Steps) -> list[Value] | None:
    """The first trace that does not end as its program does when `tail` takes the place of all steps from there on."""
    for trace in traces:
        value = trace[place]
        for op, k in tail:
            value = op.run(value, k)
        if value != trace[-1]:
            return trace
    return None
