"""Prompts for chat models, byte for byte: EvalPlus's question (codegen.py, provider/), and those of lm-evaluation-harness.

A model whose template is at hand (`hf:`) is asked the question and goes on with an answer that has been begun for it, inside a
block of code; a server that takes messages only is asked the same, without the beginning, and begins by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

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

LM_EVAL_HUMANEVAL = "Write a solution to the following problem and make sure that it passes the tests:"
LM_EVAL_ANSWER = "Here is the completed function:"
LM_EVAL_MBPP = "You are an expert Python programmer, and here is your task:"
LM_EVAL_TESTS = "Your code should pass these tests:"
LM_EVAL_SHOWN_TESTS = 3
LM_EVAL_STOP = "```"
"""Where the filters of lm-eval's tasks end the program: at the next fence, wherever it stands."""
LM_EVAL_RULE = "fence"


def as_chat(problem: Problem, program: str) -> Problem:
    """The problem as EvalPlus's chat, whose answer is a whole program.

    Args:
        problem: with the published prompt.
        program: the reference as a whole program.
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


def lm_eval_humaneval_chat(prompt: str) -> Chat:
    """The chat of lm-eval 0.4.13's `humaneval_instruct` (version 4.0): the answer goes on from the prompt, which is repeated in it."""
    question = f"{LM_EVAL_HUMANEVAL}\n```python\n{prompt}\n```\n"
    return Chat(question, f"{LM_EVAL_ANSWER}\n```python\n{prompt}\n", question, keeps_space=False)


def lm_eval_mbpp_chat(row: Mapping[str, Any], examples: Sequence[Mapping[str, Any]]) -> Chat:
    """The chat of lm-eval 0.4.13's `mbpp_instruct` (version 1.0): worked examples as turns, then the question.

    Args:
        row: a problem with its `text` and `test_list`.
        examples: worked problems, with their `code` as well.
    """
    turns = tuple((_lm_eval_mbpp(one), f"\n```python\n{one['code']}\n```") for one in examples)
    question = _lm_eval_mbpp(row)
    return Chat(question, "\n```python\n", question, examples=turns, keeps_space=False)


def _lm_eval_mbpp(row: Mapping[str, Any]) -> str:
    return "\n".join([LM_EVAL_MBPP, row["text"], LM_EVAL_TESTS, *row["test_list"][:LM_EVAL_SHOWN_TESTS]])
