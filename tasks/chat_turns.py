"""A question to a chat model, as the turns that its template takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chat:
    """A question to a chat model, around which its own template goes.

    Args:
        question: the user's turn.
        answer_start: how the model's turn begins; what it writes goes on from there.
        question_alone: the user's turn where the model's cannot be begun for it (a server that takes messages); stop
            strings, which are for an answer that was begun, do not apply there.
        examples: turns that come before, each a question and its answer.
        keeps_space: whether white space at the ends of `answer_start` stays (EvalPlus) also where the template trims a turn;
            if not, the template decides, as by transformers' `continue_final_message` (lm-eval).
    """

    question: str
    answer_start: str
    question_alone: str
    examples: tuple[tuple[str, str], ...] = ()
    keeps_space: bool = True

    @property
    def text(self) -> str:
        """All turns, up to the beginning of the answer, as people are shown them."""
        before = "".join(f"{question}\n{answer}\n\n" for question, answer in self.examples)
        return f"{before}{self.question}\n{self.answer_start}"

    def messages(self, system: str, question: str) -> list[dict[str, str]]:
        """The turns up to a question, as servers and templates take them.

        Args:
            system: the system prompt; "" for none.
            question: `question` or `question_alone`.
        """
        turns = [("system", system)] if system else []
        for asked, answered in self.examples:
            turns += [("user", asked), ("assistant", answered)]
        return [{"role": role, "content": text} for role, text in [*turns, ("user", question)]]
