"""Whether a task's problems fit into a model's context: what does not fit cannot be answered, whatever was learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.tasks.problem import Problem, Task


@dataclass(frozen=True, slots=True)
class Fit:
    """The number of a task's problems that fit into a context.

    Args:
        n_problems: all of them.
        misfits: the ids of those that do not fit.
        needed: the context, in tokens, into which all of them fit.
    """

    n_problems: int
    misfits: tuple[str, ...]
    needed: int

    def __str__(self) -> str:
        missing = (
            f"; not {', '.join(self.misfits[:3])}: a context of {self.needed} tokens is needed" if self.misfits else ""
        )
        return f"{self.n_problems - len(self.misfits)} of {self.n_problems} problems fit{missing}"


def needed_context(problem: Problem, tokenizer: Tokenizer) -> int:
    """The fewest tokens of context in which a problem is asked whole, and its reference written and ended.

    Decoding keeps room for `max_new_tokens`, unless the prompt is shorter than half of the context.
    """
    prompt = 1 + len(tokenizer.encode(problem.prompt))
    answer = len(tokenizer.encode(problem.reference))
    room = max(problem.max_new_tokens or answer, answer)
    return 1 + min(prompt + room, max(2 * prompt, prompt + answer))


def fit(problems: Sequence[Problem], tokenizer: Tokenizer, context_length: int) -> Fit:
    """Find which problems fit into a context."""
    needed = {problem.problem_id: needed_context(problem, tokenizer) for problem in problems}
    misfits = tuple(problem_id for problem_id, tokens in needed.items() if tokens > context_length)
    return Fit(len(needed), misfits, max(needed.values(), default=0))


def check_fit(task: Task, tokenizer: Tokenizer, context_length: int) -> None:
    """Refuse to train on a task whose test problems the model could not be asked.

    Raises:
        InputError: a problem does not fit; the message says how long the context has to be.
    """
    found = fit(task.problems(), tokenizer, context_length)
    if found.misfits:
        raise InputError(
            f"model.context_length = {context_length} is too short for task {task.protocol} with the tokenizer "
            f"{tokenizer.name}: {found}. Set model.context_length = {found.needed}, or train on a shorter protocol"
        )
