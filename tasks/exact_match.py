r"""Tasks whose answer is text: a completion is right when its answer equals the reference's.

class CapitalsTask(ExactMatchTask):
    def __init__(self, name, protocol=None, *, data_dir=None, extract=None):
        problems = [Problem("capitals/0", "The capital of France is", " Paris", stop=(".", "\n"))]
        super().__init__(name, protocol or "0shot", problems, extract=extract)

    def answer(self, problem, text):
        return text.strip().lower()
"""

from __future__ import annotations

from mtp_eval.tasks.problem import Judgement, Problem, Task


class ExactMatchTask(Task):
    """A task whose answers are compared as text, in the normal form that `answer` gives them."""

    votes = True

    def answer(self, problem: Problem, text: str) -> str:
        """The answer in a completion or reference, in its normal form; empty when there is none."""
        return text.strip()

    def judge_program(self, problem: Problem, source: str) -> Judgement:
        """Compare the text's answer with the reference's."""
        found, wanted = self.answer(problem, source), self.answer(problem, problem.reference)
        if found and found == wanted:
            return Judgement(True, found)
        return Judgement(False, found, f"expected {wanted[:60]!r}, got {found[:60]!r}" if found else "no answer found")

    def judge_given(self, problem: Problem, text: str, *, whole: bool) -> Judgement:
        """Judge a text of another harness: answers end where this protocol's completions end."""
        return self.judge_program(problem, self.source(problem, text))
