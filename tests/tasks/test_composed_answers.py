"""Answers put together at random from what answers are made of; the right program is in each, and wrong ones are where they do not count.

The oracle runs the extracted program. The draws are seeded, so that an answer that fails can be looked at: `composed(seed)`.
"""

# ruff: noqa: E501  (each program on one line)

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from mtp_eval.tasks.extract import Asked, rule_named
from tests.tasks.test_unusual_answers import ALONE, GO_ON, WRONG, result

PROGRAMS = (
    "def total(xs):\n    return sum(xs)\n",
    'def total(xs: list[int]) -> int:\n    """Sum.\n\n    >>> total([1])\n    1\n    """\n    n = 0\n\n    for x in xs:\n        n += x\n    return n\n',
    "import math\n\n\ndef total(xs):\n    return int(math.fsum(xs))\n",
    "def plus(a, b):\n    return a + b\n\n\ndef total(xs):\n    n = 0\n    for x in xs:\n        n = plus(n, x)\n    return n\n",
    "from functools import reduce\n\n\ndef total(xs):\n    return reduce(lambda a, b: a + b, xs, 0)\n",
    "total = lambda xs: sum(xs)\n",
    "class Adder:\n    def __call__(self, xs):\n        return sum(xs)\n\n\ntotal = Adder()\n",
)
BODIES = (
    "    return sum(xs)\n",
    "    n = 0\n    for x in xs:\n        n += x\n    return n\n",
    "    if not xs:\n        return 0\n\n    return xs[0] + total(xs[1:])\n",
)
PROSE = (
    "Here's the function you asked for:",
    "Sure! I'll write `total`.",
    "The function isn't hard: it sums (see below).",
    "**Explanation:** it loops over `xs` & adds.",
    "- first, n is 0\n- then it's added to",
    "1. Start at 0.\n2. Don't forget to return.",
    "### Solution",
    "Answer",
    "Time complexity: O(n), it's linear.",
    "| in | out |\n|---|---|\n| [1] | 1 |",
    "> It's quoted.",
    "Edge cases: an empty list's total is 0; that's fine.",
)
USES = (
    "print(total([1, 2]))\n",
    "assert total([1, 2]) == 3\n",
    "result = total([1, 2, 3])\nprint(f'{result}')\n",
    "import unittest\n\n\nclass Test(unittest.TestCase):\n    def test(self):\n        self.assertEqual(total([1]), 1)\n",
    "from sums import total\ntotal([1])\n",
    "total = total([3])\n",
    ">>> total([1, 2])\n3\n",
)
OUTPUTS = ("3\n", "[1, 2] -> 3\n", "$ python x.py\n3\n", '{"total": 3}\n')
STUBS = (
    "def total(xs):\n    pass\n",
    "def total(xs): ...\n",
    "def total(xs):\n    # your code here\n    raise NotImplementedError\n",
)
READING = (
    "n = int(input())\nprint(n + 1)\n",
    "import sys\n\n\ndef main():\n    words = sys.stdin.read().split()\n    print(int(words[0]) + 1)\n\n\nif __name__ == '__main__':\n    main()\n",
    "from sys import stdin\n\n\ndef plus(n):\n    return n + 1\n\n\nfor line in stdin:\n    print(plus(int(line)))\n",
    "import sys\n\ninput = sys.stdin.readline\nn = int(input())\nprint(n + 1)\n",
    "print(int(open(0).read()) + 1)\n",
    "def solve():\n    n = int(input())\n    print(n + 1)\n\n\nsolve()\n",
    "import fileinput\n\nfor line in fileinput.input():\n    print(int(line) + 1)\n",
)
WRONG_READING = "n = int(input())\nprint(n + 2)\n"
HELPER = "import math\n\n\ndef plus(a, b):\n    return int(math.fsum([a, b]))\n"
BY_HELPER = "def total(xs):\n    n = 0\n    for x in xs:\n        n = plus(n, x)\n    return n\n"


def margin(text: str, before: str, empty: str = "") -> str:
    return "".join(f"{before}{line}\n" if line else f"{empty}\n" for line in text.rstrip("\n").split("\n"))


def fenced(draw: random.Random, code: str, language: str | None = None) -> str:
    mark = draw.choice(("```", "```", "```", "````", "~~~"))
    language = draw.choice(("python", "python", "py", "Python", "python3", "")) if language is None else language
    return margin(f"{mark}{language}\n{code}{mark}", draw.choice(("", "", "", "  ", "   ")))


def around(draw: random.Random, draft: str = "") -> list[str]:
    """Prose, uses, outputs and stubs, and where there is one, wrong drafts."""
    kinds: list[Callable[[], str]] = [
        lambda: draw.choice(PROSE) + "\n\n",
        lambda: draw.choice(PROSE) + "\n\n",
        lambda: fenced(draw, draw.choice(USES)),
        lambda: fenced(draw, draw.choice(OUTPUTS), draw.choice(("", "text", "console", "json"))),
        lambda: fenced(draw, draw.choice(STUBS)),
    ]
    if draft:
        kinds.append(lambda: "A draft:\n" + fenced(draw, draft))
    return [draw.choice(kinds)() for _ in range(draw.randrange(4))]


FORMS: dict[str, Callable[[random.Random, str], str]] = {
    "a block": lambda draw, code: fenced(draw, code),
    "in a list": lambda draw, code: (
        f"1. Write it:\n\n{margin(fenced(draw, code), draw.choice(('  ', '   ', '    ')))}2. Run it.\n\n"
    ),
    "in a quote": lambda draw, code: f"\n{margin(fenced(draw, code), '> ', '>')}\n",
    "on lines of prose": lambda draw, code: f"The code is: ```{draw.choice(('python', 'py'))}\n{code}```\n",
    "by tabs": lambda draw, code: fenced(draw, code.replace("    ", "\t")),
    "in Markdown": lambda draw, code: f"````markdown\n{draw.choice(PROSE)}\n\n```python\n{code}```\n````\n",
    "in HTML": lambda draw, code: f"<details><summary>Code</summary>\n\n{fenced(draw, code)}\n</details>\n",
    "in two blocks": lambda draw, code: f"A helper:\n{fenced(draw, HELPER)}\nand\n{fenced(draw, BY_HELPER)}",
    "without a fence": lambda draw, code: f"\n\n{code}\n\n",
    "never closed": lambda draw, code: f"\n```{draw.choice(('python', 'py', ''))}\n{code}" + draw.choice(("", "<|im_end|>")),
    "cut off": lambda draw, code: f"\n```python\n{code}\nprint(total([1,",
    "closed only": lambda draw, code: f"\n\n{code}```\n",
    "a body": lambda draw, code: draw.choice(BODIES) + draw.choice(("", "```\n", "\n```\n\n")) + "\n",
}  # fmt: skip
AT_THE_END = ("never closed", "cut off")
WITHOUT_OTHER_FENCES = ("closed only",)


def composed(
    seed: int, programs: Sequence[str] = PROGRAMS, wrong: str = WRONG, but_for: Sequence[str] = ()
) -> tuple[str, str]:
    """The form in which the right program stands, and the answer."""
    draw = random.Random(seed)
    form = draw.choice([name for name in FORMS if name not in but_for])
    before = [] if form == "a body" else around(draw, "" if form in ("without a fence", "closed only") else wrong)
    behind = [] if form in AT_THE_END else around(draw)
    if form in WITHOUT_OTHER_FENCES:
        before, behind = without_fences(before), without_fences(behind)
    thoughts = ""
    if form != "a body" and draw.random() < 0.25:
        thoughts = f"<think>\n{''.join(around(draw, wrong))}{fenced(draw, wrong)}</think>\n\n"
    between = draw.choice(("\n", "\n", ""))
    text = thoughts + between.join([*before, FORMS[form](draw, draw.choice(programs)), *behind])
    if draw.random() < 0.15:
        text = text.replace("\n", "\r\n")
    return form, text + (draw.choice(("<|im_end|>", "</s>", "<|eot_id|>")) if draw.random() < 0.15 else "")


def rules_for(form: str) -> tuple[str, ...]:
    """`fence` takes what stands in blocks."""
    outside = ("without a fence", "closed only", "never closed", "cut off", "a body")
    return ("definitions",) if form in outside else ("fence", "definitions")


def without_fences(parts: Sequence[str]) -> list[str]:
    return [part for part in parts if "```" not in part and "~~~" not in part]


@pytest.mark.parametrize("first", range(0, 800, 100))
def test_the_right_program_is_found_in_an_answer_of_many_parts(first: int) -> None:
    failed = []
    for seed in range(first, first + 100):
        form, text = composed(seed)
        for rule in rules_for(form):
            for asked in (GO_ON,) if form == "a body" else (GO_ON, ALONE):
                if result(rule, asked, text) != 7:
                    failed.append((seed, form, rule, text))
    assert not failed, failed[0]


def test_the_program_that_reads_its_input_is_found_in_an_answer_of_many_parts() -> None:
    failed = []
    for seed in range(400):
        form, text = composed(seed, READING, WRONG_READING, but_for=("a body", "in two blocks", "by tabs"))
        for rule in rules_for(form):
            source = rule_named(rule).apply(Asked(), text).source
            if WRONG_READING in source or not any(program.strip() in source for program in READING):
                failed.append((seed, form, rule, text))
    assert not failed, failed[0]
