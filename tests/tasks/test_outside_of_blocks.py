"""Answers whose program stands outside of their blocks, or whose only fence closes it.

Every text here was written for this test, and its verdict decided before it was tried. The oracle runs the extracted program.
"""

# ruff: noqa: E501  (each input on one line)

from __future__ import annotations

import subprocess
import sys

import pytest

from mtp_eval.tasks.extract import Asked, rule_named
from tests.tasks.test_unusual_answers import ALONE, BODY, BOTH, BOTH_ASKED, DEFS, GO_ON, RIGHT, WRONG, block, result

USE = block("print(total([1, 2]))\n")
CASES = {
    # one fence, which closes
    "a closing fence alone, prose around": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}```\n\nThat's it, isn't it?"),
    "a closing fence at the end": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}```"),
    "a closing fence and the next task's words": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}```\n[Task End"),
    "a closing fence of tildes": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}~~~\n\nThat's it, isn't it?"),
    "a closing fence moved to the right": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}   ```\n\nThat's it."),
    "a closing fence on the last line of code": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT.rstrip()}```\n\nThat's it."),
    "two closing fences": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}```\n\nThat's it, isn't it?\n```\n"),
    "a closing fence, then its use in a block": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}```\nUse it:\n{USE}"),
    "a closing fence, then the better one": (BOTH, BOTH_ASKED, f"Here's:\n\n{WRONG}```\nNo, so:\n{block(RIGHT)}"),
    "a closing fence under a thought's end": (BOTH, BOTH_ASKED, f"It's -1.\n{block(WRONG)}</think>\nIt's:\n\n{RIGHT}```\n"),
    # other blocks, the program outside
    "its use in a block": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}\nUse it:\n{USE}"),
    "its use in a block before": (BOTH, BOTH_ASKED, f"To be used so:\n{USE}\nHere's the function:\n\n{RIGHT}\nDone, isn't it?"),
    "its output in a block": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}\nIt'll print:\n```\n3\n```\n"),
    "an installation in a block": (BOTH, BOTH_ASKED, f"First:\n{block('pip install numpy' + chr(10), 'bash')}Then it's:\n\n{RIGHT}\nDone."),
    "an idea in a block": (BOTH, BOTH_ASKED, f"The idea:\n```\nadd each x, that's all\n```\nSo it's:\n\n{RIGHT}\nDone."),
    "another function in a block": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}\nIt isn't:\n{block('def other(xs):' + chr(10) + '    return xs' + chr(10))}"),
    "its signature in a block": (BOTH, BOTH_ASKED, f"You want\n{block('def total(xs):' + chr(10))}so it's:\n\n{RIGHT}\nDone."),
    "its stub in a block": (BOTH, BOTH_ASKED, f"You want\n{block('def total(xs):' + chr(10) + '    ...' + chr(10))}so it's:\n\n{RIGHT}\nDone."),
    "its import from elsewhere in a block": (BOTH, BOTH_ASKED, f"Here's sums.py:\n\n{RIGHT}\nUse it so:\n{block('from sums import total' + chr(10))}"),
    "its helper in a block": (BOTH, BOTH_ASKED, f"With\n{block('def plus(xs):' + chr(10) + '    return sum(xs)' + chr(10))}it's just:\n\ndef total(xs):\n    return plus(xs)\n\nDone."),
    "its import in a block behind": (BOTH, BOTH_ASKED, f"It's:\n\ndef total(xs):\n    return int(math.fsum(xs))\n\nYou'll need\n{block('import math' + chr(10))}"),
    "a helper above a fence": (BOTH, BOTH_ASKED, f"It's:\n\ndef plus(x):\n    return x\n```\n{RIGHT}```\n"),
    "a helper above a fence, without prose": (BOTH, BOTH_ASKED, f"def plus(x):\n    return x\n```\n{RIGHT}```\n"),
    "tests in a block": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{RIGHT}\nTests:\n{block('def test_total():' + chr(10) + '    assert total([1]) == 1' + chr(10))}"),
    "its stub behind, fenced by tildes": (DEFS, BOTH_ASKED, f"It's:\n\n{RIGHT}\n{block('def total(xs):' + chr(10) + '    raise NotImplementedError' + chr(10), mark='~~~')}\n{USE}"),
    # a block that answers is taken before what stands outside
    "a wrong one outside before": (BOTH, BOTH_ASKED, f"Not:\n\n{WRONG}\nbut it's:\n{block(RIGHT)}"),
    "a wrong one outside behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nIt isn't:\n\n{WRONG}\nOK?"),
    "a body in a block, its use behind": (DEFS, [GO_ON], f"```python\n{BODY}```\nUse it:\n{USE}"),
}  # fmt: skip
NONE = {
    "a wrong one outside, no other": (BOTH, BOTH_ASKED, f"Here's the function:\n\n{WRONG}\nUse it:\n{USE}"),
    "a block with a syntax error is the answer": (BOTH, [ALONE], f"Perhaps:\n\n{RIGHT}\nNo, it's:\n{block('def total(xs):' + chr(10) + '    return sum(xs' + chr(10))}"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_program_is_found_wherever_it_stands(name: str) -> None:
    rules, kinds, completion = CASES[name]
    got = {(rule, bool(asked.prefix)): result(rule, asked, completion) for rule in rules for asked in kinds}
    assert set(got.values()) == {7}, got


@pytest.mark.parametrize("name", NONE)
def test_the_answer_is_not_exchanged_for_a_better_one(name: str) -> None:
    rules, kinds, completion = NONE[name]
    assert 7 not in [result(rule, asked, completion) for rule in rules for asked in kinds]


READS = "n = int(input())\nprint(n + 1)\n"
INPUTS = {
    "an example's input in a block": f"Here's the program:\n\n{READS}\nExample input:\n```\n3\n```\n",
    "a closing fence alone": f"Here's the program:\n\n{READS}```\n\nThat's it, isn't it?",
    "a function of its own": "Here's the program:\n\nimport sys\n\ndef main():\n    print(int(sys.stdin.read()) + 1)\n\nmain()\n\nIt'll print:\n```\n4\n```\n",
    "a block that answers": f"It isn't:\n\nprint(int(input()) + 2)\n\nbut it's:\n{block(READS)}",
}


@pytest.mark.parametrize("rule", BOTH)
@pytest.mark.parametrize("name", INPUTS)
def test_a_program_that_reads_its_input_is_found_outside_of_blocks(name: str, rule: str) -> None:
    source = rule_named(rule).apply(Asked(), INPUTS[name]).source
    done = subprocess.run([sys.executable, "-c", source], input="3\n", capture_output=True, text=True, check=False)
    assert done.stdout == "4\n", (source, done.stderr[-200:])
