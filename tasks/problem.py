"""The vocabulary of the project: what flows from a task to a table.

    Problem (tasks) -> Request, Completion (harness) -> Program (tasks) -> Outcome (sandbox) -> Record (results)

Plain frozen data, no behaviour: every other folder may import this file for its types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mtp_eval.sandbox.program import Program as Program


@dataclass(frozen=True, slots=True)
class Problem:
    """One item of a benchmark.

    Args:
        problem_id: the benchmark's own name for it ("HumanEval/0", "mbpp/11"); unique within a task.
        prompt: exactly what the model is given.
        reference: a completion that is known to be right, in the form a model would write it.
        stop: strings at which generation ends; the stop string itself is not part of the completion.
        max_new_tokens: the protocol's own budget; None leaves it to the run.
        entry_point: the function that the tests call, where there is one.
        tags: labels to report scores by, such as {"m": "2", "domain": "in"}.
        choices: for a likelihood task, the continuations of the prompt among which the model chooses.
    """

    problem_id: str
    prompt: str
    reference: str
    stop: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    entry_point: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to be generated. `seed` depends on (run seed, task, problem, sample) only, never on batching."""

    problem_id: str
    sample: int
    prompt: str
    seed: int
    stop: tuple[str, ...] = ()
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote for one request, raw: nothing is stripped but the stop string.

    Args:
        n_tokens: tokens emitted, the stop token included.
        n_forwards: trunk forwards after the prompt; tokens per forward = n_tokens / n_forwards.
        stop_reason: "stop" (a stop string), "eos", "length", "context" (the model's context was full before the
            length was reached), or "given" for a completion read from a file.
        n_drafted, n_accepted: drafted and accepted tokens by head; entry 0 is head 2. Empty when nothing was drafted.
        wall_seconds, cpu_seconds: this completion's share of its batch's time.
        prompt_tokens, prompt_tokens_cut: tokens of the prompt the model was given, and how many it was not given
            because they did not fit into its context.
    """

    problem_id: str
    sample: int
    text: str
    n_tokens: int = 0
    n_forwards: int = 0
    stop_reason: str = "given"
    n_drafted: tuple[int, ...] = ()
    n_accepted: tuple[int, ...] = ()
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    prompt_tokens: int = 0
    prompt_tokens_cut: int = 0


@runtime_checkable
class Task(Protocol):
    """A benchmark under one named protocol. Adapters are listed in tasks.registry."""

    name: str
    """What the user types: "mbpp"."""
    protocol: str
    """The protocol's id, in every table row: "mbpp@3shot-austin"."""
    data_sha256: str
    """Of the benchmark's file, or of the generator's output for a synthetic task."""
    report_by: str | None
    """The tag by which table rows are split ("domain"), or None for one row."""

    def problems(self) -> Sequence[Problem]:
        """All problems in the benchmark's order."""
        ...

    def program(self, problem: Problem, completion: str) -> Program:
        """Extract the program from a raw completion and put it together with its tests."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a task that needs no execution makes of a completion.

    Args:
        passed: whether it is right.
        extracted: the answer that was found in it; empty when none was.
        error: why it is not right, in the form of an outcome's error.
    """

    passed: bool
    extracted: str
    error: str = ""


@runtime_checkable
class JudgedTask(Task, Protocol):
    """A task whose completions are judged without being executed.

    `kind` says what the harness does: "exact_match" generates and calls `judge`; "likelihood" has the likelihood of every
    one of `Problem.choices` taken under head 1 and calls `judge` with these figures as JSON text. A task without `kind`
    is of kind "execution".
    """

    kind: str

    def judge(self, problem: Problem, completion: str) -> Judgement:
        """Whether a raw completion is right."""
        ...


def kind_of(task: Task) -> str:
    """How the task's completions are judged; see `JudgedTask`."""
    return str(getattr(task, "kind", "execution"))


@runtime_checkable
class PreparedTask(Task, Protocol):
    """A task whose tests need something that takes long the first time, so that a harness can show how far it is.

    `program` works without it and then computes what it needs on its way.
    """

    def unprepared(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """The problems for which it is still to be done on this machine."""
        ...

    def prepare(self, problem: Problem) -> None:
        """Do it for one problem and keep what comes out."""
        ...


@runtime_checkable
class TrainableTask(Task, Protocol):
    """A synthetic task that can also make training text, disjoint from its own test problems."""

    def training_documents(self, seed: int) -> Iterator[str]:
        """An endless stream of training documents in the format of prompt + reference."""
        ...
