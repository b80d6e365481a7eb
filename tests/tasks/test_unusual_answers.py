"""Answers in forms that chat models and their front ends give now and then, each with the verdict a reader would give.

Every text here was written for this test, and its verdict decided before it was tried. The oracle runs the extracted program.
"""

# ruff: noqa: E501  (each input on one line)

from __future__ import annotations

import pytest

from mtp_eval.tasks.extract import Asked, rule_named

PROMPT = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Sum the numbers.\n    >>> total([1, 2])\n    3\n    """\n'
GO_ON = Asked(PROMPT, "total", ("\nclass", "\ndef", "\n#", "\nif", "\nprint"))
ALONE = Asked("", "total", ("[DONE]",))
BOTH_ASKED = (GO_ON, ALONE)

RIGHT = "def total(xs):\n    return sum(xs)\n"
WRONG = "def total(xs):\n    return -1\n"
BODY = "    return sum(xs)\n"
FENCE, DEFS = ("fence",), ("definitions",)
BOTH = FENCE + DEFS


def block(code: str, language: str = "python", mark: str = "```") -> str:
    return f"{mark}{language}\n{code}{mark}\n"


USED = "    print(total([1, 2]))\n"
RIGHT_CASES = {
    # thoughts
    "a thought within a thought": (BOTH, BOTH_ASKED, f"<think>\na\n<think>\n{block(WRONG)}</think>\nb\n{block(WRONG)}</think>\n{block(RIGHT)}"),
    "a thought closed twice": (BOTH, BOTH_ASKED, f"<think>\n{block(WRONG)}</think>\n</think>\n\n{block(RIGHT)}"),
    "a thought with an attribute": (BOTH, BOTH_ASKED, f'<think duration="3s">\n{block(WRONG)}</think>\n{block(RIGHT)}'),
    "a thought behind the answer": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n<think>\nOr was it\n{block(WRONG)}</think>\n"),
    "a draft that is open when the thought ends": (BOTH, BOTH_ASKED, f"<think>\n```python\n{WRONG}</think>\n```python\n{RIGHT}```"),
    "reasoning content as a tag": (BOTH, BOTH_ASKED, f"<reasoning_content>\n```python\n{WRONG}</reasoning_content>\n{block(RIGHT)}"),
    "a plan as a tag, unfenced": (DEFS, BOTH_ASKED, f"<plan>\nAdd them.\n</plan>\n<code>\n{RIGHT}</code>"),
    "thinking by words": (BOTH, BOTH_ASKED, f"Thinking...\nMaybe\n{block(WRONG)}...done thinking.\n\n{block(RIGHT)}"),
    "channels whose tokens were dropped": (BOTH, BOTH_ASKED, f"analysisWe need a sum.assistantfinal{block(RIGHT)}"),
    "a thought, an end token, the answer": (BOTH, BOTH_ASKED, f"<think>\n{WRONG}</think>\n\n{block(RIGHT)}<|im_end|>\n<|im_start|>user\n{block(WRONG)}"),
    # several versions
    "the corrected version": (BOTH, BOTH_ASKED, f"{block(WRONG)}\nThis returns -1. Here is the corrected version:\n\n{block(RIGHT)}"),
    "a stub first": (BOTH, BOTH_ASKED, f"{block('def total(xs):' + chr(10) + '    ...' + chr(10))}\nFilled in:\n{block(RIGHT)}"),
    "a stub last": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nIn your file it goes here:\n{block('def total(xs):' + chr(10) + '    ...  # as above' + chr(10) + chr(10) + 'def main():' + chr(10) + USED)}"),
    "a stub with a comment last": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nUse it:\n{block('def total(xs):' + chr(10) + '    # your code here' + chr(10) + '    pass' + chr(10) + 'print(total([]))' + chr(10))}"),
    "a stub that raises last": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nThe interface:\n{block('def total(xs: list[int]) -> int:' + chr(10) + '    raise NotImplementedError' + chr(10))}"),
    "an import of it last": (BOTH, BOTH_ASKED, f"Save as solution.py:\n{block(RIGHT)}\nThen:\n{block('from solution import total' + chr(10) + chr(10) + 'print(total([1]))' + chr(10))}"),
    "a second version cut off": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nShorter:\n```python\ndef total(xs):\n    return (su"),
    "a first block cut off by another": (BOTH, BOTH_ASKED, f"```python\ndef total(xs):\n    return (\n\nSorry, again:\n```python\n{RIGHT}```\n"),
    "tests behind it, cut off": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nTests:\n```python\nimport unittest\n\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(total("),
    "an explanation line by line": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n- `def total(xs):` begins it\n- `return sum(xs)` ends it\n"),
    "its line quoted in a block behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nThe line\n{block('return sum(xs)' + chr(10))}\ndoes it."),
    "its signature quoted in a block behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nThe first line\n{block('def total(xs):' + chr(10))}\nnames it."),
    # other languages and forms around it
    "JavaScript before": (BOTH, BOTH_ASKED, f"{block('function total(xs) { return 0 }' + chr(10), 'js')}\n{block(RIGHT)}"),
    "three languages": (BOTH, BOTH_ASKED, f"{block('int total() {}' + chr(10), 'c')}{block(RIGHT)}{block('fn total() {}' + chr(10), 'rust')}{block('total = 1' + chr(10), 'toml')}"),
    "a diff, then the whole": (BOTH, BOTH_ASKED, f"{block('-    return -1' + chr(10) + '+    return sum(xs)' + chr(10), 'diff')}\nAltogether:\n{block(RIGHT)}"),
    "the whole, then a diff": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nWhat changed:\n{block('-    return -1' + chr(10) + '+    return sum(xs)' + chr(10), 'diff')}"),
    "a session behind it": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('>>> total([1])' + chr(10) + '1' + chr(10), 'pycon')}"),
    "a session behind it that claims to be Python": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('>>> total([1])' + chr(10) + '1' + chr(10))}"),
    "JSON behind it": (BOTH, BOTH_ASKED, f'{block(RIGHT)}\n{block(chr(123) + chr(34) + "total" + chr(34) + ": 3}" + chr(10), "json")}'),
    "a call of a tool before": (BOTH, BOTH_ASKED, '<tool_call>\n{"name": "run", "arguments": {"code": "def total(xs): pass"}}\n</tool_call>\n' + block(RIGHT)),
    "HTML around": (BOTH, BOTH_ASKED, f"<details>\n<summary>Code</summary>\n\n{block(RIGHT)}\n</details>"),
    "HTML tags instead of a fence": (DEFS, BOTH_ASKED, f'<pre><code class="language-python">\n{RIGHT}</code></pre>'),
    "an answer tag instead of a fence": (DEFS, BOTH_ASKED, f"<answer>\n{RIGHT}</answer>"),
    "LaTeX around": (DEFS, BOTH_ASKED, f"\\begin{{lstlisting}}\n{RIGHT}\\end{{lstlisting}}"),
    "a box in a title": (BOTH, BOTH_ASKED, f"**Solution** \\boxed{{see below}}\n\n{block(RIGHT)}"),
    "BEGIN and DONE": (DEFS, BOTH_ASKED, f"[BEGIN]\n{RIGHT}[DONE]\n"),
    "a table of complexity": (BOTH, BOTH_ASKED, f"| n | t |\n|---|---|\n| 1 | 2 |\n\n{block(RIGHT)}"),
    "indented as Markdown's code": (DEFS, BOTH_ASKED, "Here it is:\n\n    def total(xs):\n        return sum(xs)\n\nDone."),
    "a fence behind a bullet": (BOTH, BOTH_ASKED, "- ```python\n  def total(xs):\n      return sum(xs)\n  ```\n"),
    "a fence behind a number": (BOTH, BOTH_ASKED, "1. ```python\n   def total(xs):\n       return sum(xs)\n   ```\n2. Done\n"),
    "a fence indented by a tab": (BOTH, BOTH_ASKED, "So:\n\t```python\n\tdef total(xs):\n\t    return sum(xs)\n\t```\n"),
    "five ticks around three": (BOTH, BOTH_ASKED, f"`````markdown\n{block(RIGHT)}`````\n"),
    "a closing fence with a language": (BOTH, BOTH_ASKED, f"```python\n{RIGHT}```python\n"),
    "a file's name behind the language": (BOTH, BOTH_ASKED, block(RIGHT, "python:src/total.py")),
    "lines numbered by attribute": (BOTH, BOTH_ASKED, block(RIGHT, "{python, linenos=true}")),
    "Sage": (BOTH, BOTH_ASKED, block(RIGHT, "sage")),
    "a language on the line below": (DEFS, BOTH_ASKED, f"```\npython\n{RIGHT}```\n"),
    "a language left of a fence": (DEFS, BOTH_ASKED, f"python\n{RIGHT}"),
    "notebook commands": (DEFS, BOTH_ASKED, block(f"%pip install numpy\n!ls\n{RIGHT}")),
    # names and places
    "a helper, and the name bound to it": (BOTH, BOTH_ASKED, block("def add_all(xs):\n    return sum(xs)\n\ntotal = add_all\n")),
    "a method, and the name bound to it": (BOTH, BOTH_ASKED, block("class Solution:\n    def total(self, xs):\n        return sum(xs)\n\ntotal = Solution().total\n")),
    "a partial": (BOTH, BOTH_ASKED, block("import functools, operator\ntotal = functools.partial(functools.reduce, operator.add)\n")),
    "defined in a branch": (BOTH, BOTH_ASKED, block("try:\n    import nosuch\nexcept ImportError:\n    def total(xs):\n        return sum(xs)\n")),
    "overloads": (BOTH, BOTH_ASKED, block("from typing import overload\n\n@overload\ndef total(xs: list) -> int: ...\n@overload\ndef total(xs: tuple) -> int: ...\ndef total(xs):\n    return sum(xs)\n")),
    "a future import": (BOTH, BOTH_ASKED, block(f"from __future__ import annotations\n\n{RIGHT}")),
    "a future import below a docstring, unfenced": (DEFS, BOTH_ASKED, f'"""Sums."""\nfrom __future__ import annotations\n\n{RIGHT}'),
    "a line for the shell and a coding": (BOTH, BOTH_ASKED, block(f"#!/usr/bin/env python3\n# -*- coding: latin-1 -*-\n{RIGHT}")),
    "a constant in a block of its own": (BOTH, BOTH_ASKED, f"{block('START = 0' + chr(10))}and\n{block('def total(xs):' + chr(10) + '    return sum(xs, START)' + chr(10))}"),
    "a main without a guard": (DEFS, BOTH_ASKED, block(f"import sys\n{RIGHT}\ndef main():\n    xs = [int(x) for x in input().split()]\n    print(total(xs))\n\nsys.exit(main())\n")),
    "wrong tests behind it": (DEFS, BOTH_ASKED, block(f"{RIGHT}\nassert total([1]) == 2\n")),
    "tests behind it, cut off in the same block": (DEFS, BOTH_ASKED, f"```python\n{RIGHT}\ndef test_total():\n    assert total([1,"),
    # the prompt
    "the prompt's end again": (DEFS, [GO_ON], f"```python\n{PROMPT}{BODY}```"),
    "the prompt without its imports again": (BOTH, [GO_ON], block(PROMPT.partition("\n\n\n")[2] + BODY)),
    "the prompt in a block, then the answer": (BOTH, [GO_ON], f"You gave\n{block(PROMPT)}\nThe answer is\n{block(RIGHT)}"),
    "the prompt in a block, then the body": (BOTH, [GO_ON], f"You gave\n{block(PROMPT)}\nThe answer is\n{block(BODY)}"),
    "a body, and words in a fence": (BOTH, [GO_ON], f"{BODY}```\n\n**Explanation**\n```text\nIt sums.\n```\n"),
    # turns that follow
    "a user's turn": (DEFS, [GO_ON], f"{BODY}\nUser: Thanks, now in C?\nAssistant: Sure\n"),
    "an instruction": (DEFS, [GO_ON], f"{BODY}\n### Instruction:\nWrite a function that isn't this\n\n### Response:\ndef other(x):\n    return x\n"),
    "a human's turn behind a block": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n\nHuman: And with floats?\n\nAssistant: It's the same."),
    "a question": (DEFS, [GO_ON], f"{BODY}\n\nQuestion: what's 2?\nAnswer: 4\n"),
    "a header": (DEFS, [GO_ON], f"{BODY}\n\n## Explanation\n\nIt's the sum.\n"),
    # characters
    "a byte order mark in front": (BOTH, BOTH_ASKED, "\ufeff" + block(RIGHT)),
    "a byte order mark in front of code": (DEFS, BOTH_ASKED, "\ufeff" + RIGHT),
    "a byte order mark inside the block": (BOTH, BOTH_ASKED, block("\ufeff" + RIGHT)),
    "a space of no width in front of the fence": (BOTH, BOTH_ASKED, f"Here:\n\u200b{block(RIGHT)}"),
    "spaces that do not break in prose": (BOTH, BOTH_ASKED, f"Here\u00a0it\u00a0is:\n{block(RIGHT)}"),
    "a space that does not break before the language": (BOTH, BOTH_ASKED, block(RIGHT, "\u00a0python")),
    "a form feed between functions": (BOTH, BOTH_ASKED, block(f"import math\n\f\n{RIGHT}")),
    "line and paragraph separators in a comment": (BOTH, BOTH_ASKED, block(f"# a\u2028b\u2029c\x85d\n{RIGHT}")),
    "curly quotes in prose": (BOTH, BOTH_ASKED, f"It\u2019s \u201csum\u201d:\n{block(RIGHT)}"),
    "old Mac line ends": (BOTH, BOTH_ASKED, f"So:\n{block(RIGHT)}".replace("\n", "\r")),
    "mixed line ends": (BOTH, BOTH_ASKED, "So:\r\n```python\r\ndef total(xs):\n    return sum(xs)\r\n```\n"),
    "tabs": (DEFS, BOTH_ASKED, block("def total(xs):\n\tr = 0\n\tfor x in xs:\n\t\tr += x\n\treturn r\n")),
    "tabs in a body behind spaces": (DEFS, [GO_ON], "\tr = 0\n\tfor x in xs:\n\t\tr += x\n\treturn r\n"),
    "tabs and spaces mixed": (DEFS, BOTH_ASKED, block("def total(xs):\n\tr = 0\n    \n\tfor x in xs:\n\t    r += x\n\treturn r\n")),
    # special tokens
    **{
        f"special token {token!r}": ((*DEFS, "stops"), [GO_ON], f"{BODY}{token}def total(xs):\n    return -1\n")
        for token in (
            "</s>", "<|eot_id|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "<|EOT|>", "<file_sep>", "<|file_sep|>",
            "<|file_separator|>", "<repo_name>", "<EOT>", " <EOT>", "<PRE>", " <PRE>", " <SUF>", " <MID>", "▁<EOT>", "<|fim_prefix|>", "<|end|>", "<end_of_turn>",
            "[/INST]", "[TOOL_CALLS]", "<|observation|>", "[gMASK]<sop>", "<|im_sep|>", "<|END_OF_TURN_TOKEN|>", "[|endofturn|]", "<eoa>", "<|action_end|>",
            "<extra_id_0>", "<pad><pad>", "<unk>", "<|eom_id|>", "<|python_tag|>", "<eos>", "<fim_middle>", "<｜fim▁hole｜>", "<|begin▁of▁sentence|>", "<|eos|>",
        )
    },
    "a header of a turn in front": (BOTH, BOTH_ASKED, f"<|start_header_id|>assistant<|end_header_id|>\n\n{block(RIGHT)}<|eot_id|>"),
    "a beginning token and a role in front": (BOTH, BOTH_ASKED, f"<|begin_of_text|><|assistant|>\n{block(RIGHT)}</s>"),
    "the middle of an infill": (DEFS, [GO_ON], f"<MID>{BODY}<EOT>"),
}  # fmt: skip

WRONG_CASES = {
    "a thought that never ends": (BOTH, BOTH_ASKED, f"<think>\nPerhaps\n{block(RIGHT)}and"),
    "the corrected version is wrong": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nHere is the corrected version:\n{block(WRONG)}"),
    "a diff alone": (BOTH, BOTH_ASKED, block("-    return -1\n+    return sum(xs)\n", "diff")),
    "another language alone": (BOTH, BOTH_ASKED, block("function total(xs) { return xs.reduce((a, b) => a + b, 0) }\n", "js")),
    "a method alone": (BOTH, [ALONE], block("class Solution:\n    def total(self, xs):\n        return sum(xs)\n")),
    "another name": (BOTH, [ALONE], block("def totals(xs):\n    return sum(xs)\n")),
    "a call of a tool": (BOTH, BOTH_ASKED, '<tool_call>\n{"name": "run", "arguments": {"code": "def total(xs):\\n    return sum(xs)\\n"}}\n</tool_call>'),
    "a notebook as JSON": (BOTH, BOTH_ASKED, '{"cells": [{"cell_type": "code", "source": ["def total(xs):\\n", "    return sum(xs)\\n"]}], "nbformat": 4}'),
    "line ends written out": (BOTH, BOTH_ASKED, RIGHT.replace("\n", "\\n")),
    "characters of HTML": (BOTH, BOTH_ASKED, block("def total(xs):\n    return sum(x for x in xs if x &gt; -9)\n")),
    "spaces that do not break as indentation": (BOTH, BOTH_ASKED, block("def total(xs):\n\u00a0\u00a0\u00a0\u00a0return sum(xs)\n")),
    "a space of no width inside the code": (BOTH, BOTH_ASKED, block("def total(xs):\n    return sum(\u200bxs)\n")),
    "curly quotes in the code": (BOTH, BOTH_ASKED, block("def total(xs):\n    return sum(xs) + len(\u2018\u2019)\n")),
    "a dash for a minus": (BOTH, BOTH_ASKED, block("def total(xs):\n    return 0 \u2013 sum(xs) * \u20131\n")),
    "a zero character": (BOTH, BOTH_ASKED, block("def total(xs):\n    return sum(xs)\x00\n")),
    "half a surrogate pair": (BOTH, BOTH_ASKED, block("def total(xs):\n    return sum(xs) + '\ud800'\n")),
    "a refusal": (BOTH, BOTH_ASKED, "I'm sorry, but I can't help with that."),
    "a stub alone": (BOTH, BOTH_ASKED, block("def total(xs):\n    pass\n")),
    "a body without its indentation": (BOTH, [GO_ON], "return sum(xs)\n"),
    "nothing but thoughts": (BOTH, BOTH_ASKED, f"<think>\n{block(RIGHT)}</think>\n"),
    "nothing but ends": (BOTH, BOTH_ASKED, "<|im_end|><|im_end|>\n</s>"),
    "nothing": (BOTH, BOTH_ASKED, ""),
}  # fmt: skip


def result(rule: str, asked: Asked, completion: str) -> object:
    """What the extracted program's function gives for [1, 2, 4], or what it raises."""
    source = rule_named(rule).apply(asked, completion).source
    try:
        namespace: dict[str, object] = {"__name__": "__main__"}
        exec(compile(source, "<extracted>", "exec"), namespace)
        return namespace["total"]([1, 2, 4])  # type: ignore[operator]
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}\n{source}"


@pytest.mark.parametrize("name", RIGHT_CASES)
def test_a_right_answer_is_found(name: str) -> None:
    rules, kinds, completion = RIGHT_CASES[name]
    got = {(rule, bool(asked.prefix)): result(rule, asked, completion) for rule in rules for asked in kinds}
    assert set(got.values()) == {7}, got


@pytest.mark.parametrize("name", WRONG_CASES)
def test_no_answer_is_made_of_what_is_none(name: str) -> None:
    rules, kinds, completion = WRONG_CASES[name]
    assert 7 not in [result(rule, asked, completion) for rule in rules for asked in kinds]


MEGABYTE = 1 << 20
LARGE = {
    "prose": f"{block(RIGHT)}\n" + "And so it goes on, line by line.\n" * (MEGABYTE // 33),
    "one line": block(f"# {'x' * (10 * MEGABYTE)}\n{RIGHT}"),
    "the same block again and again": block(RIGHT) * (MEGABYTE // 8 // 50),
    "the same function again and again": RIGHT * (MEGABYTE // 16 // 35),
    "fence lines": block(RIGHT) + "```\n" * (MEGABYTE // 64),
    "closing tags that do not end": f"{'</a>' * (MEGABYTE // 8)}x\n{block('print(total([1]))' + chr(10))}\nIt's:\n\n<answer>{RIGHT}</answer>",
    "a list that does not end": block(f"T = [{'1, ' * (MEGABYTE // 32)}]\n{RIGHT}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_large_answer_is_read_in_time(name: str) -> None:
    for rule in BOTH:
        assert result(rule, ALONE, LARGE[name]) == 7
