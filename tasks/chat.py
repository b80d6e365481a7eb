"""How a problem is put to a chat model: EvalPlus's question and the beginning of its answer, byte for byte (codegen.py, provider/).

A model whose template is at hand (`hf:`) is asked the question and goes on with an answer that has been begun for it, inside a
block of code; a server that takes messages only is asked the same in its own fence, and begins by itself.
"""

from __future__ import annotations

from dataclasses import replace

from mtp_eval.tasks.problem import Chat, Problem

INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
)
ANSWER = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:"
)
STOPS = ("\nif __name__", "\ndef main(", "\nprint(", "\n```\n")
"""EvalPlus's for chats; its `<|endoftext|>`, `<|endofmask|>` and `</s>` end a text by the rule on special tokens."""
MAX_NEW_TOKENS = 768
RULE = "definitions"
"""The clean-up: EvalPlus's is the same."""


def as_chat(problem: Problem, program: str) -> Problem:
    """The problem as a chat whose answer is a whole program.

    Args:
        problem: with the published prompt.
        program: the reference as such a program.
    """
    turns = evalplus_chat(problem.prompt)
    return replace(problem, prompt=turns.text, chat=turns, reference=program if problem.reference else "")


def evalplus_chat(prompt: str) -> Chat:
    """The chat for a problem's prompt."""
    plain = prompt.strip()
    return Chat(
        question=f"{INSTRUCTION}\n```\n{plain}\n```\n",
        answer_start=f"{ANSWER}\n```python\n",
        question_alone=f"{INSTRUCTION}\n```python\n{plain}\n```",
    )
