'''listops: programs that apply m list operations in order, named one by one in a docstring.

    def solve(a):
     """b=add 3; c=reverse"""
     b = [v + 3 for v in a]
     c = b[::-1]
     return c

The prompt ends after the docstring and the model writes the body; hidden tests run it. Training has m = 1 to 3; the
test has m = 1 to 3 ("in" domain) and longer ones ("out"). Everything follows from a seed. The test problems do not
depend on the training seed, and a training document that repeats one of them is never emitted.

Documents are short and each step can be copied from near by, so that a model of under a million parameters learns the
task in about a minute on a laptop.
'''

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtp_eval.tasks.base import BaseTask, choose_protocol
from mtp_eval.tasks.problem import Problem, Program

PROTOCOLS = ("0shot-steps",)
TEST_SEED = 20240419
"""The seed of the published test set: another seed is another benchmark, and another data hash."""
VARIABLES = "abcdefghijklmnopqrstuvwxyz"
ENTRY_POINT = "solve"
N_INPUTS = 6

Values = list[int]


@dataclass(frozen=True, slots=True)
class Operation:
    """A list operation: what the docstring calls it, how it is written in Python, what it does.

    `code` has {x} for the list's name and {k} for the argument; `arguments` is empty when there is none.
    """

    name: str
    code: str
    run: Callable[[Values, int], Values]
    arguments: Sequence[int] = ()


OPERATIONS = (
    Operation("add", "[v + {k} for v in {x}]", lambda x, k: [v + k for v in x], range(1, 31)),
    Operation("sub", "[v - {k} for v in {x}]", lambda x, k: [v - k for v in x], range(1, 31)),
    Operation("mul", "[v * {k} for v in {x}]", lambda x, k: [v * k for v in x], range(2, 31)),
    Operation("over", "[v for v in {x} if v > {k}]", lambda x, k: [v for v in x if v > k], range(1, 31)),
    Operation("under", "[v for v in {x} if v < {k}]", lambda x, k: [v for v in x if v < k], range(1, 31)),
    Operation("take", "{x}[:{k}]", lambda x, k: x[:k], range(1, 7)),
    Operation("drop", "{x}[{k}:]", lambda x, k: x[k:], range(1, 7)),
    Operation("reverse", "{x}[::-1]", lambda x, k: x[::-1]),
    Operation("sort", "sorted({x})", lambda x, k: sorted(x)),
    Operation("even", "[v for v in {x} if v % 2 == 0]", lambda x, k: [v for v in x if v % 2 == 0]),
    Operation("odd", "[v for v in {x} if v % 2 == 1]", lambda x, k: [v for v in x if v % 2 == 1]),
    Operation("square", "[v * v for v in {x}]", lambda x, k: [v * v for v in x]),
)

Step = tuple[Operation, int]
Steps = tuple[Step, ...]


def draw_steps(rng: random.Random, m: int) -> Steps:
    """m operations with their arguments, uniform over operations."""
    chosen = [rng.choice(OPERATIONS) for _ in range(m)]
    return tuple((op, rng.choice(op.arguments) if op.arguments else 0) for op in chosen)


def step_text(step: Step) -> str:
    """How the docstring names a step: "add 3", "reverse"."""
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


def apply_steps(steps: Steps, values: Values) -> Values:
    """What the program must return, computed without executing any program text."""
    for op, k in steps:
        values = op.run(list(values), k)
    return values


def draw_inputs(rng: random.Random, n: int) -> list[Values]:
    """Input lists of 0 to 12 numbers, the last n - 1 of them not empty."""
    sizes = [0] + [rng.randint(4, 12) for _ in range(n - 1)]
    return [[rng.randint(-20, 60) for _ in range(size)] for size in sizes]


def is_telling(steps: Steps, inputs: Sequence[Values]) -> bool:
    """Whether these inputs tell the program from the identity, from constants, and from itself less any one step."""
    outputs = [apply_steps(steps, values) for values in inputs]
    if outputs == list(inputs) or all(output == outputs[0] for output in outputs):
        return False
    shorter = (steps[:i] + steps[i + 1 :] for i in range(len(steps)))
    return all([apply_steps(fewer, values) for values in inputs] != outputs for fewer in shorter)


class ListopsTask(BaseTask):
    """listops with its training generator.

    Args:
        seed: of the test problems.
        train_m: the numbers of operations in training and in the in-domain test.
        out_m: the numbers of operations of the out-of-domain test.
        per_m_in, per_m_out: test problems for each m.
    """

    report_by = "domain"

    def __init__(
        self,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        train_m: tuple[int, int] = (1, 3),
        out_m: tuple[int, int] = (4, 6),
        per_m_in: int = 50,
        per_m_out: int = 40,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol("listops", protocol, PROTOCOLS)
        self._train_m = train_m
        rng = random.Random(f"listops test {seed}")
        self._tests: dict[str, str] = {}
        problems: list[Problem] = []
        prompts: set[str] = set()
        for m in (*range(train_m[0], train_m[1] + 1), *range(out_m[0], out_m[1] + 1)):
            domain = "in" if m <= train_m[1] else "out"
            for index in range(per_m_in if domain == "in" else per_m_out):
                steps, inputs = _draw_unseen(rng, m, prompts)
                problem = _problem(f"listops/m{m}/{index}", steps, m, domain)
                prompts.add(problem.prompt)
                problems.append(problem)
                self._tests[problem.problem_id] = _tests(steps, inputs)
        self._test_prompts = frozenset(prompts)
        digest = hashlib.sha256()
        for problem in problems:
            digest.update(f"{problem.problem_id}\n{problem.prompt}{self._tests[problem.problem_id]}\n".encode())
        super().__init__("listops", chosen, digest.hexdigest(), problems, extract)

    def prefix(self, problem: Problem) -> str:
        """The prompt is the beginning of the program."""
        return problem.prompt

    def tested(self, problem: Problem, source: str) -> Program:
        """Judged by equality on the hidden inputs."""
        return Program(problem_id=problem.problem_id, source=source, tests=self._tests[problem.problem_id])

    def training_documents(self, seed: int) -> Iterator[str]:
        """Prompt + reference, m uniform over the training range, never one of the test problems."""
        rng = random.Random(f"listops training {seed}")
        while True:
            steps = draw_steps(rng, rng.randint(*self._train_m))
            prompt = prompt_of(steps)
            if prompt not in self._test_prompts:
                yield prompt + reference_of(steps)


def _draw_unseen(rng: random.Random, m: int, prompts: set[str]) -> tuple[Steps, list[Values]]:
    """A composition whose prompt is not in use yet, with inputs that tell it from simpler programs."""
    for _ in range(100_000):
        steps, inputs = draw_steps(rng, m), draw_inputs(rng, N_INPUTS)
        if prompt_of(steps) not in prompts and is_telling(steps, inputs):
            return steps, inputs
    raise ValueError(f"listops: no unused composition of m={m} operations is left; ask for fewer problems")


def _problem(problem_id: str, steps: Steps, m: int, domain: str) -> Problem:
    return Problem(
        problem_id=problem_id,
        prompt=prompt_of(steps),
        reference=reference_of(steps),
        stop=("\ndef", "\n\n"),
        max_new_tokens=40 + 36 * m,
        entry_point=ENTRY_POINT,
        tags={"m": str(m), "domain": domain},
    )


def _tests(steps: Steps, inputs: Sequence[Values]) -> str:
    return "\n".join(f"assert {ENTRY_POINT}({values}) == {apply_steps(steps, values)}" for values in inputs)
