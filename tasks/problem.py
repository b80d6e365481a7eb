"""Problem, Request, Completion and Task: the types that pass from a benchmark to a table.

    Problem (tasks) -> Request, Completion (harness) -> Program (tasks) -> Outcome (sandbox) -> Record (results)

Plain frozen data, and the class that every benchmark derives from: `Task`. Every other folder may import this file.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

from mtp_eval.sandbox.program import Program as Program
from mtp_eval.tasks.chat_turns import Chat as Chat
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.extract import Asked, rule_named
from mtp_eval.tasks.judgement import Cheat as Cheat
from mtp_eval.tasks.judgement import Judgement as Judgement


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
        chat: the prompt as turns of a chat, where it is one; `prompt` is then its text without a template.
    """

    problem_id: str
    prompt: str
    reference: str
    stop: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    entry_point: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    chat: Chat | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to be generated. `seed` depends on (run seed, task, problem, sample) only, never on batching.

    With a `chat` the model is asked that, in its own template, in place of `prompt`.
    """

    problem_id: str
    sample: int
    prompt: str
    seed: int
    stop: tuple[str, ...] = ()
    max_new_tokens: int = 256
    chat: Chat | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """The text that a model wrote for one request, raw: nothing is stripped but the stop string.

    Args:
        n_tokens: tokens emitted, the stop token included.
        n_forwards: trunk forwards after the prompt; tokens per forward = n_tokens / n_forwards.
        stop_reason: "stop" (a stop string), "eos", "length", "context" (the model's context was full before the
            length was reached), "refused" (a server does not complete this prompt), "content_filter" (a server's filter cut it),
            or "given" for a completion read from a file.
        n_drafted, n_accepted: drafted and accepted tokens by head; entry 0 is head 2. Empty when nothing was drafted.
        wall_seconds, cpu_seconds: this completion's share of its batch's time.
        prompt_tokens, prompt_tokens_cut: tokens of the prompt the model was given, and how many it was not given
            because they did not fit into its context.
        refusal: what the server said that refused the prompt.
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
    refusal: str = ""


TRUSTED_TESTS = (
    "its tests run as trusted code with your rights, outside the sandbox: use only files whose author you trust"
)
"""The caution of tasks whose tests came from a user's file."""


class Task(ABC):
    r'''A benchmark under one named protocol: its problems, and what judges the text that a model writes for one.

    A subclass says how a whole program is tested, and usually what part of the prompt the program begins with:

        class TwiceTask(Task):
            """Functions that double a number."""

            def __init__(self, name, protocol=None, *, data_dir=None, extract=None):
                prompt = 'def twice(x):\n    """Return two times x."""\n'
                problems = [Problem("twice/0", prompt, "    return 2 * x\n", stop=("\ndef",), entry_point="twice")]
                super().__init__(name, protocol or "0shot", problems, extract=extract)

            def prefix(self, problem):
                return problem.prompt

            def judge_program(self, problem, source):
                return Program(problem.problem_id, source, tests="assert twice(3) == 6")

    The class is called with the name it is registered under, the protocol that stood after the "@" (or None), the folder
    of benchmark files, an extraction rule (or None), and any option that a user may set. An installed package brings it
    under the entry-point group `mtp_eval.tasks`. A task whose answer is compared returns a `Judgement` instead; see
    `tasks.exact_match` for a base class that compares texts.

    Args:
        name: what the user types, without the protocol.
        protocol: the part after the "@".
        problems: in the benchmark's order.
        data_sha256: of the file the problems were read from; by default of the problems and of what judges them.
        extract: the extraction rule (see `tasks.extract`); by default the class's `default_rule`.

    Raises:
        UnknownRuleError: there is no rule of this name.
    '''

    needs: ClassVar[Literal["text", "likelihood"]] = "text"
    """What a model is asked for: text, or the log-likelihood of every one of `Problem.choices`, whose list in nats (as
    JSON) is then the completion."""
    votes: ClassVar[bool] = False
    """Whether samples can vote: the extracted answers of a problem are compared as text, and the most frequent one counts."""
    default_rule: str = "raw"
    """The protocol's own extraction rule."""
    caution: str = ""
    """What a user should know before programs are judged, said each time; nothing for benchmarks whose content is checked."""
    report_by: str | None = None
    """The tag by which table rows are split ("domain"), or None for one row."""

    def __init__(
        self,
        name: str,
        protocol: str,
        problems: Sequence[Problem],
        *,
        data_sha256: str | None = None,
        extract: str | None = None,
    ):
        self.name = name
        self.protocol = f"{name}@{protocol}"
        self.rule = rule_named(extract or self.default_rule)
        self._problems = tuple(problems)
        self._data_sha256 = data_sha256

    def problems(self) -> Sequence[Problem]:
        """All problems in the benchmark's order."""
        return self._problems

    @cached_property
    def data_sha256(self) -> str:
        """The hash of the problems and of what judges them, in every table row."""
        if self._data_sha256 is not None:
            return self._data_sha256
        digest = hashlib.sha256()
        for problem in self.problems():
            digest.update(repr((problem, self.judge_reference(problem))).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def elsewhere(self, problem_id: str) -> str:
        """The other part or version of the benchmark that has a problem which is not among these; "" where none is known.

        Args:
            problem_id: as a samples file gives it.
        """
        return ""

    # --- from a text to a verdict ---

    def prefix(self, problem: Problem) -> str:
        """The part of the prompt that the program begins with; none by default."""
        return ""

    def source(self, problem: Problem, completion: str, *, whole: bool = False) -> str:
        """The whole program (or the answer's text) in a raw completion, by this task's extraction rule."""
        return self.rule.apply(self.asked(problem, whole=whole), completion).source

    def asked(self, problem: Problem, *, whole: bool = False) -> Asked:
        """The facts of a problem that an extraction rule may know; for a whole program no prefix and no stop strings."""
        if whole:
            return Asked("", problem.entry_point)
        return Asked(self.prefix(problem), problem.entry_point, problem.stop)

    @abstractmethod
    def judge_program(self, problem: Problem, source: str) -> Program | Judgement:
        """Put a whole program together with its tests, or judge an answer that needs no execution.

        Must not depend on anything but its arguments: `source` is a model's, and may be hostile.
        """

    def judge(self, problem: Problem, completion: str, *, whole: bool = False) -> Program | Judgement:
        """Judge a raw completion: extract the program from it, then `judge_program`.

        Args:
            whole: the text stands alone, as solutions of other harnesses do; otherwise it continues the prompt.
        """
        return self.judge_program(problem, self.source(problem, completion, whole=whole))

    def judge_reference(self, problem: Problem) -> Program | Judgement:
        """Judge the reference as it was published, without extraction: this tests the machine, not the rule."""
        return self.judge_program(problem, self.prefix(problem) + problem.reference)

    def judge_given(self, problem: Problem, text: str, *, whole: bool) -> Program | Judgement:
        """Judge a text as the harness that wrote it would: nothing is extracted.

        Args:
            whole: the text is a whole program; otherwise it continues the prompt.
        """
        return self.judge_program(problem, text if whole else self.prefix(problem) + text)

    def cheats(self) -> Sequence[Cheat]:
        """Programs that this task's tests must refuse, beside those that `tasks check` tries on every task."""
        return ()

    # --- what some tasks can do besides ---

    def unprepared(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """The problems whose tests need something that takes long and is not there yet; none by default.

        A harness prepares them one by one to show how far it is; `judge` works without that and takes its time.
        """
        return ()

    def prepare(self, problem: Problem) -> None:
        """Compute what the problem's tests need, and keep it on this machine."""
        return

    def training_documents(self, seed: int) -> Iterator[str]:
        """An endless stream of training texts in the form of prompt + reference, none of them a test problem.

        By default the two halves of `training_pairs`.

        Raises:
            TaskOptionError: the task makes no training text.
        """
        for prompt, answer in self.training_pairs(seed):
            yield prompt + answer

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """An endless stream of (prompt, answer) pairs, so that a model can be trained on the answers alone.

        Raises:
            TaskOptionError: the task makes no training text of prompts and answers.
        """
        raise TaskOptionError(
            f"task {self.name} makes no training text of prompts and answers; generated tasks such as listops do"
        )
