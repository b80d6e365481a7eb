"""GSM8K (Cobbe et al. 2021): 1,319 word problems, eight worked examples in front, the last number is the answer.

The examples are the chain-of-thought prompt of Wei et al. (arXiv 2201.11903, appendix), which papers mean by "8-shot".
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.gsm8k_examples import EXAMPLES
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.sources import load_file

FILE = "gsm8k-test.jsonl.gz"
PROTOCOLS = ("8shot-cot", "8shot-cot-strict")
"""The last number anywhere, or the number after the last "The answer is"."""
NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")


class NumberTask(ExactMatchTask):
    """A task whose answer is a number in a worked solution: the last one anywhere."""

    strict = False
    """Whether only a number after the last "The answer is" counts."""

    def answer(self, problem: Problem, text: str) -> str:
        """The number, in its shortest form."""
        if self.strict:
            _, found, text = text.rpartition("The answer is")
            numbers = NUMBER.findall(text)[:1] if found else []
        else:
            numbers = NUMBER.findall(text)[-1:]
        return normal_number(numbers[0]) if numbers else ""


class Gsm8kTask(NumberTask):
    """GSM8K under one protocol.

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        data_dir: a folder holding gsm8k-test.jsonl.gz.
        extract: an extraction rule other than the protocol's.
    """

    default_rule = "stops"

    def __init__(
        self, name: str, protocol: str | None = None, *, data_dir: Path | None = None, extract: str | None = None
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        self.strict = chosen.endswith("strict")
        loaded = load_file(FILE, data_dir)
        problems = [
            Problem(
                problem_id=f"gsm8k/{index}",
                prompt=prompt_of(row["question"]),
                reference=" " + reference_of(row["answer"]),
                stop=("\nQ:", "Q:", "</s>", "<|im_end|>"),
                max_new_tokens=256,
            )
            for index, row in enumerate(loaded.rows)
        ]
        super().__init__(name, chosen, problems, data_sha256=loaded.sha256, extract=extract)


def normal_number(text: str) -> str:
    """The shortest form of a number: "$1,200.00" and "1200" are the same."""
    try:
        number = Decimal(text.replace(",", "").replace("$", ""))
    except InvalidOperation:
        return ""
    return format(number.normalize() + 0, "f")


def prompt_of(question: str) -> str:
    """Eight worked examples and the question."""
    shots = "".join(f"Q: {asked}\nA: {worked}\n\n" for asked, worked in EXAMPLES)
    return f"{shots}Q: {question}\nA:"


def reference_of(answer: str) -> str:
    """The published solution without its calculator marks, ending as the examples end."""
    steps, _, number = answer.partition("####")
    return f"{re.sub(r'<<[^>]*>>', '', steps).strip()} The answer is {number.strip()}."
