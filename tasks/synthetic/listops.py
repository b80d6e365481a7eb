'''listops: programs that apply m list operations in order, named one by one in a docstring.

    def solve(a):
     """b=add 3; c=reverse"""
     b = [v + 3 for v in a]
     c = b[::-1]
     return c

The prompt ends after the docstring and the model writes the body; hidden tests run it. Training has m = 1 to 3; the
test has m = 1 to 3 ("in" domain) and longer ones ("out"). Everything follows from a seed. The test problems do not
depend on the training seed, and a training document whose program does what a test problem's does is never emitted.

Behind the protocol `-nl` adds an empty line to the prompts of the test, `-spaces` three spaces and a line end: white space in which a
model may compute, as in Table S11 of arXiv 2404.19737. Training text has none of it.

`stringops` is the same with transformations of a string, for a shift of domain: reverse, take and drop are written as
for lists, the rest is new. `0shot-long` is tested up to m = 10.

Documents are short and each step can be copied from near by, so that a model of under a million parameters learns the
task in two or three minutes on a laptop.
'''

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.problem import Problem, Program, Task
from mtp_eval.tasks.synthetic.compositions import (
    Operation,
    Step,
    Steps,
    Value,
    all_steps,
    apply_steps,
    is_telling,
    telling_inputs,
)

PROTOCOLS = {"0shot-steps": (4, 6), "0shot-long": (4, 10)}
"""The numbers of operations of the out-of-domain test."""
PAUSES = {"": "", "-nl": "\n", "-spaces": "   \n"}
"""White space behind the prompts of the test, by what it adds to the protocol's name."""
TEST_SEED = 20240419
"""The seed of the published test set: another seed is another benchmark, and another data hash."""
VARIABLES = "abcdefghijklmnopqrstuvwxyz"
ENTRY_POINT = "solve"
N_INPUTS = 12
"""Of each test, before those are added that tell programs with one mistake: with these alone, one problem in five let one pass."""
N_MORE_INPUTS = 200
"""From which the added ones are taken."""
N_PROBES = 8
"""Inputs by whose outputs two programs are the same program."""

LIST_OPERATIONS = (
    Operation("add", "[v + {k} for v in {x}]", lambda x, k: [v + k for v in x], range(1, 10), (0, 10)),
    Operation("sub", "[v - {k} for v in {x}]", lambda x, k: [v - k for v in x], range(1, 10), (0, 10)),
    Operation("mul", "[v * {k} for v in {x}]", lambda x, k: [v * k for v in x], range(2, 10), (1, 10)),
    Operation("over", "[v for v in {x} if v > {k}]", lambda x, k: [v for v in x if v > k], range(1, 10), (0, 10)),
    Operation("under", "[v for v in {x} if v < {k}]", lambda x, k: [v for v in x if v < k], range(1, 10), (0, 10)),
    Operation("take", "{x}[:{k}]", lambda x, k: x[:k], range(1, 7), (0, 7)),
    Operation("drop", "{x}[{k}:]", lambda x, k: x[k:], range(1, 7), (0, 7)),
    Operation("reverse", "{x}[::-1]", lambda x, k: x[::-1]),
    Operation("sort", "sorted({x})", lambda x, k: sorted(x)),
    Operation("even", "[v for v in {x} if v % 2 == 0]", lambda x, k: [v for v in x if v % 2 == 0]),
    Operation("odd", "[v for v in {x} if v % 2 == 1]", lambda x, k: [v for v in x if v % 2 == 1]),
    Operation("square", "[v * v for v in {x}]", lambda x, k: [v * v for v in x]),
)

STRING_OPERATIONS = (
    Operation("take", "{x}[:{k}]", lambda x, k: x[:k], range(1, 7), (0, 7)),
    Operation("drop", "{x}[{k}:]", lambda x, k: x[k:], range(1, 7), (0, 7)),
    Operation("reverse", "{x}[::-1]", lambda x, k: x[::-1]),
    Operation("sort", '"".join(sorted({x}))', lambda x, k: "".join(sorted(x))),
    Operation("upper", "{x}.upper()", lambda x, k: x.upper()),
    Operation("lower", "{x}.lower()", lambda x, k: x.lower()),
    Operation("swap", "{x}.swapcase()", lambda x, k: x.swapcase()),
    Operation("double", "{x} + {x}", lambda x, k: x + x),
    Operation("turn", "{x}[{k}:] + {x}[:{k}]", lambda x, k: x[k:] + x[:k], range(1, 7), (0, 7)),
    Operation("remove", '{x}.replace("{k}", "")', lambda x, k: x.replace(k, ""), "abcdefgh"),
    Operation("append", '{x} + "{k}"', lambda x, k: x + k, "abcdefghijklmnopqrstuvwxyz"),
    Operation("prepend", '"{k}" + {x}', lambda x, k: k + x, "abcdefghijklmnopqrstuvwxyz"),
)


def draw_list(rng: random.Random, *, empty: bool) -> list[int]:
    """Draw four to twelve numbers, or none."""
    return [] if empty else [rng.randint(-20, 60) for _ in range(rng.randint(4, 12))]


def draw_string(rng: random.Random, *, empty: bool) -> str:
    """Draw six to fourteen letters a to h, some of them capitals, or none."""
    return "" if empty else "".join(rng.choice("abcdefghABCD") for _ in range(rng.randint(6, 14)))


@dataclass(frozen=True, slots=True)
class Family:
    """Operations on one kind of value."""

    operations: Sequence[Operation]
    draw: Callable[..., Value]


FAMILIES = {"listops": Family(LIST_OPERATIONS, draw_list), "stringops": Family(STRING_OPERATIONS, draw_string)}


def draw_steps(rng: random.Random, m: int, operations: Sequence[Operation]) -> Steps:
    """Draw m operations with their arguments, uniform over operations."""
    chosen = [rng.choice(operations) for _ in range(m)]
    return tuple((op, rng.choice(op.arguments) if op.arguments else 0) for op in chosen)


def step_text(step: Step) -> str:
    """The name of a step in the docstring: "add 3", "reverse"."""
    op, k = step
    return f"{op.name} {k}" if op.arguments else op.name


def prompt_of(steps: Steps) -> str:
    """Signature and docstring."""
    named = "; ".join(f"{VARIABLES[i + 1]}={step_text(step)}" for i, step in enumerate(steps))
    return f'def {ENTRY_POINT}(a):\n """{named}"""\n'


def reference_of(steps: Steps) -> str:
    """The body, one line a step, in the only form that training documents use."""
    lines = [f" {VARIABLES[i + 1]} = {op.code.format(x=VARIABLES[i], k=k)}\n" for i, (op, k) in enumerate(steps)]
    return "".join(lines) + f" return {VARIABLES[len(steps)]}\n"


def draw_inputs(rng: random.Random, family: Family) -> list[Value]:
    """Draw inputs: an empty one, then others."""
    return [family.draw(rng, empty=number == 0) for number in range(N_INPUTS)]


def behaviour_of(steps: Steps, family: Family) -> tuple[str, ...]:
    """The outputs of a composition on fixed inputs: the same for compositions that are one program in two wordings."""
    rng = random.Random("probes")
    return tuple(repr(apply_steps(steps, family.draw(rng, empty=False))) for _ in range(N_PROBES))


class ListopsTask(Task):
    """listops or stringops with its training generator.

    Args:
        name: a key of `FAMILIES`.
        protocol: a key of `PROTOCOLS`.
        seed: of the test problems.
        train_m: the numbers of operations in training and in the in-domain test.
        out_m: the numbers of operations of the out-of-domain test.
        per_m_in, per_m_out: test problems for each m; of the compositions of one operation a third at most, so that
            training sees the others.
    """

    report_by = "domain"

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        train_m: tuple[int, int] = (1, 3),
        out_m: tuple[int, int] | None = None,
        per_m_in: int = 65,
        per_m_out: int = 40,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(one + pause for pause in PAUSES for one in PROTOCOLS))
        usual = next(one for one in PROTOCOLS if chosen.startswith(one))
        out_m, pause = out_m or PROTOCOLS[usual], PAUSES[chosen.removeprefix(usual)]
        self._train_m, self._family = train_m, FAMILIES[name]
        rng = random.Random(f"{name} test {seed}")
        n_of_one = sum(len(operation.arguments) or 1 for operation in self._family.operations)
        self._tests: dict[str, str] = {}
        problems: list[Problem] = []
        prompts: set[str] = set()
        others, more = all_steps(self._family.operations), random.Random(f"{name} more {seed}")
        probes = [self._family.draw(more, empty=False) for _ in range(N_MORE_INPUTS)]
        self._behaviours: set[tuple[str, ...]] = set()
        for m in (*range(train_m[0], train_m[1] + 1), *range(out_m[0], out_m[1] + 1)):
            domain = "in" if m <= train_m[1] else "out"
            wanted = per_m_in if domain == "in" else per_m_out
            for index in range(min(wanted, n_of_one // 3) if m == 1 else wanted):
                steps, few = _draw_unseen(rng, m, prompts, self._family)
                inputs = telling_inputs(steps, few, others, probes)
                problem = _problem(f"{name}/m{m}/{index}", steps, m, domain, pause)
                prompts.add(prompt_of(steps))
                self._behaviours.add(behaviour_of(steps, self._family))
                problems.append(problem)
                self._tests[problem.problem_id] = _tests(steps, inputs)
        digest = hashlib.sha256()
        for problem in problems:
            digest.update(f"{problem.problem_id}\n{problem.prompt}{self._tests[problem.problem_id]}\n".encode())
        super().__init__(name, chosen, problems, data_sha256=digest.hexdigest(), extract=extract)

    def prefix(self, problem: Problem) -> str:
        """The prompt is the beginning of the program."""
        return problem.prompt

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by equality on the hidden inputs."""
        return Program(
            problem_id=problem.problem_id,
            source=source,
            tests=self._tests[problem.problem_id],
            entry_point=problem.entry_point,
        )

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """Prompt and reference, m uniform over the training range, never a program that does what a test problem's does."""
        rng = random.Random(f"{self.name} training {seed}")
        while True:
            steps = draw_steps(rng, rng.randint(*self._train_m), self._family.operations)
            if behaviour_of(steps, self._family) not in self._behaviours:
                yield prompt_of(steps), reference_of(steps)


def _draw_unseen(rng: random.Random, m: int, prompts: set[str], family: Family) -> tuple[Steps, list[Value]]:
    """A composition whose prompt is not in use yet, with inputs that tell it from simpler programs."""
    for _ in range(100_000):
        steps, inputs = draw_steps(rng, m, family.operations), draw_inputs(rng, family)
        if prompt_of(steps) not in prompts and is_telling(steps, inputs):
            return steps, inputs
    raise TaskOptionError(f"no unused composition of m={m} operations is left; ask for fewer problems")


def _problem(problem_id: str, steps: Steps, m: int, domain: str, pause: str) -> Problem:
    return Problem(
        problem_id=problem_id,
        prompt=prompt_of(steps) + pause,
        reference=reference_of(steps),
        stop=("\ndef", "\n\n"),
        max_new_tokens=40 + 36 * m,
        entry_point=ENTRY_POINT,
        tags={"m": str(m), "domain": domain},
    )


def _tests(steps: Steps, inputs: Sequence[Value]) -> str:
    return "\n".join(f"assert {ENTRY_POINT}({value!r}) == {apply_steps(steps, value)!r}" for value in inputs)
