"""Answers of models of 2025 and 2026, and fences gone wrong, each with the verdict a reader would give.

Every text here was written for this test, and its verdict decided before it was tried. The oracle runs the extracted program.
"""

# ruff: noqa: E501  (each input on one line)

from __future__ import annotations

import pytest

from tests.tasks.test_unusual_answers import (
    ALONE,
    BODY,
    BOTH,
    BOTH_ASKED,
    DEFS,
    GO_ON,
    RIGHT,
    WRONG,
    block,
    result,
)

STOPS = ("stops",)
PLUS = "def plus(xs):\n    return sum(xs)\n"
BY_PLUS = "def total(xs):\n    return plus(xs)\n"

RIGHT_CASES = {
    # fences
    "a version in the language, behind a draft": (BOTH, BOTH_ASKED, f"{block(WRONG)}\nFinal:\n{block(RIGHT, 'python3.9')}"),
    "another version, in capitals": (BOTH, BOTH_ASKED, f"{block(WRONG, 'py')}\nFinal:\n{block(RIGHT, 'Python3.14')}"),
    "Gemini's language of tools": (BOTH, BOTH_ASKED, block(RIGHT, "tool_code")),
    "a cell of a MyST notebook": (BOTH, BOTH_ASKED, block(RIGHT, "{code-cell} ipython3")),
    "words behind the closing fence": (BOTH, BOTH_ASKED, f"```python\n{RIGHT}``` This sums them, doesn't it?\n"),
    "words behind the closing fence, at the end": (BOTH, BOTH_ASKED, f"```python\n{RIGHT}``` That's it"),
    "a full stop behind the closing fence": (BOTH, BOTH_ASKED, f"```python\n{RIGHT}```.\nThat's it.\n"),
    "tags around on the fences' lines": (BOTH, BOTH_ASKED, f"<details><summary>Code</summary>```python\n{RIGHT}```</details>"),
    "a closing fence that is too short": (DEFS, BOTH_ASKED, f"````python\n{RIGHT}```\nThat's it.\n"),
    "tildes that close ticks": (DEFS, BOTH_ASKED, f"```python\n{RIGHT}~~~\nThat's it.\n"),
    "opened twice": (BOTH, BOTH_ASKED, f"```python\n```python\n{RIGHT}```\n```\n"),
    "wrapped twice": (BOTH, BOTH_ASKED, f"```\n```python\n{RIGHT}```\n```\n"),
    "never closed, with prose behind": (DEFS, BOTH_ASKED, f"```python\n{RIGHT}\nThis function isn't slow.\n"),
    "two ticks": (DEFS, BOTH_ASKED, f"``python\n{RIGHT}``\n"),
    "ticks behind backslashes": (DEFS, BOTH_ASKED, f"\\`\\`\\`python\n{RIGHT}\\`\\`\\`\n"),
    "wide ticks": (DEFS, BOTH_ASKED, f"｀｀｀python\n{RIGHT}｀｀｀\n"),
    "a callout": (BOTH, BOTH_ASKED, "> [!NOTE]\n> Here:\n>\n> ```python\n> def total(xs):\n>     return sum(xs)\n> ```\n"),
    "a list in a list": (BOTH, BOTH_ASKED, "1. One\n   - two\n\n     ```python\n     def total(xs):\n         return sum(xs)\n     ```\n"),
    "a quote in a list": (BOTH, BOTH_ASKED, "- > ```python\n  > def total(xs):\n  >     return sum(xs)\n  > ```\n"),
    "no line end behind the last fence": (BOTH, BOTH_ASKED, block(RIGHT).rstrip()),
    "blanks behind the fences": (BOTH, BOTH_ASKED, f"```python   \n{RIGHT}```   \n\n"),
    "ticks in prose before": (BOTH, BOTH_ASKED, f"I use ``` as fence, and ```` too.\n{block(RIGHT)}"),
    "rules across": (BOTH, BOTH_ASKED, f"---\n{block(RIGHT)}---\n***\n"),
    "a footnote that quotes it": (BOTH, BOTH_ASKED, f"As in[^1]:\n\n{block(RIGHT)}\n[^1]: def total(xs)\n"),
    "formulas and drawings around": (BOTH, BOTH_ASKED, f"```math\n\\sum x\n```\n{block(RIGHT)}\n```mermaid\ngraph\n```"),
    # other blocks
    "an empty block before": (BOTH, BOTH_ASKED, f"```python\n```\n{block(RIGHT)}"),
    "a blank block behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n```python\n\n```\n"),
    "a comment in a block behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('# total sums xs' + chr(10))}"),
    "its type in a block behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('total(xs) -> int' + chr(10))}"),
    "its stub file behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('def total(xs: list[int]) -> int: ...' + chr(10), 'pyi')}"),
    "Ruby with the same `def`": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('def total(xs)' + chr(10) + '  xs.sum' + chr(10) + 'end' + chr(10), 'ruby')}"),
    "a table that claims to be Python": (BOTH, BOTH_ASKED, f"{block(RIGHT)}{block('| a | b |' + chr(10))}"),
    "a session first": (BOTH, BOTH_ASKED, f"{block('>>> total([1, 2])' + chr(10) + '3' + chr(10))}{block(RIGHT)}"),
    "its helper in a block behind": (BOTH, BOTH_ASKED, f"{block(BY_PLUS)}\nwhere\n{block(PLUS)}"),
    "its import in a block behind": (BOTH, BOTH_ASKED, f"{block('def total(xs):' + chr(10) + '    return int(math.fsum(xs))' + chr(10))}You need\n{block('import math' + chr(10))}"),
    "its class in a block before": (BOTH, BOTH_ASKED, f"{block('class Node:' + chr(10) + '    v = 0' + chr(10))}\n{block('def total(xs):' + chr(10) + '    return sum(xs) + Node().v' + chr(10))}"),
    "its helper behind, unfenced": (DEFS, BOTH_ASKED, f"It's:\n\n{BY_PLUS}\nwhere that's:\n\n{PLUS}\nDone, isn't it?"),
    "a draft with a language, the answer without": (BOTH, BOTH_ASKED, f"{block(WRONG)}\nNo, so:\n{block(RIGHT, '')}"),
    "pseudocode without a language behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nIn words:\n{block('def total(xs):' + chr(10) + '    add them all up' + chr(10), '')}"),
    **{
        f"its use without a language behind {words!r}": (BOTH, BOTH_ASKED, f"{words}\n\n{block('r = total([1, 2])' + chr(10), '')}\nIt isn't hard:\n\n{block(RIGHT)}")
        for words in ("# Solution", "Answer", "Note: nothing", "'Simple'")
    },
    # other blocks that give its name another meaning
    "its result under its name behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('total = total([1, 2])' + chr(10) + 'print(total)' + chr(10))}"),
    "its result under its name behind, annotated": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('xs = [1]' + chr(10) + 'total: int = total(xs)' + chr(10))}"),
    "a number under its name behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nIt gives\n{block('total = 6' + chr(10))}"),
    "a loop over its name behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('for total in [1, 2]:' + chr(10) + '    print(total)' + chr(10))}"),
    "a file under its name behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('with open(0) as total:' + chr(10) + '    print(total.read())' + chr(10))}"),
    "a sum under its name behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\n{block('total = 0' + chr(10) + 'total += 1' + chr(10))}"),
    "a decorator put on behind": (BOTH, BOTH_ASKED, f"{block(RIGHT)}\nTo time it:\n{block('import timing' + chr(10) + 'total = timing.timed(total)' + chr(10))}"),
    "a decorator put on in its block": (BOTH, BOTH_ASKED, block(f"import functools\n\n{RIGHT}total = functools.wraps(total)(total)\n")),
    "a lambda that calls itself": (BOTH, BOTH_ASKED, block("total = lambda xs: xs[0] + total(xs[1:]) if xs else 0\n")),
    "one of two functions": (BOTH, BOTH_ASKED, block("import sys\nif sys.version_info > (3,):\n    def total(xs):\n        return sum(xs)\nelse:\n    total = None\n")),
    "its result under its name, unfenced": (DEFS, BOTH_ASKED, f"It's:\n\n{RIGHT}\nDon't write:\n\ntotal = total([1, 2])\nprint(total)\n"),
    "a body, its stub in a block behind": (DEFS, [GO_ON], f"{BODY}\n{block('def total(xs):' + chr(10) + '    pass' + chr(10))}"),
    "a body, prose, its stub in a block behind": (DEFS, [GO_ON], f"{BODY}\nDon't leave it as\n\n{block('def total(xs):' + chr(10) + '    ...' + chr(10), mark='~~~')}"),
    "a body, its use in a block behind": (DEFS, [GO_ON], f"{BODY}\nIt's used so:\n{block('print(total([1, 2]))' + chr(10))}"),
    # tags and prose
    "a tag on its first line": (DEFS, BOTH_ASKED, f"<answer>{RIGHT}</answer>"),
    "a tag on its first and last line": (DEFS, BOTH_ASKED, f"It's:\n<answer>{RIGHT.rstrip()}</answer>\nThat's it."),
    "HTML": (DEFS, BOTH_ASKED, f'<p>It\'s:</p>\n<pre><code class="language-python">import math\n{RIGHT}</code></pre>\n<p>Done, isn\'t it?</p>'),
    "HTML with fences elsewhere": (DEFS, BOTH_ASKED, f"<p>It's:</p>\n<pre><code>{RIGHT}</code></pre>\n\n{block('print(total([1]))' + chr(10))}"),
    "a program about tags": (BOTH, BOTH_ASKED, block("def total(xs):\n    s = '''\n<b>def</b></b>\n'''\n    return sum(xs) + len(s) - 16\n")),
    "CodeLlama's tags": (DEFS, BOTH_ASKED, f"[PYTHON]\n{RIGHT}[/PYTHON]\n[TESTS]\nassert total([1]) == 2\n[/TESTS]\n"),
    "Python's name as a tag": (DEFS, BOTH_ASKED, f"<python>\n{RIGHT}</python>"),
    "a response's tag": (BOTH, BOTH_ASKED, f"<think>\n{block(WRONG)}</think>\n\n<response>\n{block(RIGHT)}</response>"),
    "Llama 4's marks": (DEFS, BOTH_ASKED, f"<|python_start|>{RIGHT}<|python_end|>"),
    "prose that Python parses": (DEFS, BOTH_ASKED, f"Explanation: sums\n\n{RIGHT}\nNote: nothing\nDone"),
    "prose that Python parses behind a body": (DEFS, [GO_ON], f"{BODY}\nNote: nothing\n"),
    "prose in Chinese": (DEFS, BOTH_ASKED, f"这是函数：\n\n{RIGHT}\n完成"),
    "prose from right to left": (DEFS, BOTH_ASKED, f"\u202bهنا\u202c:\n\n{RIGHT}"),
    "a text in quotes behind a body": (DEFS, [GO_ON], f'{BODY}\n"""\nThat\'s how it works.\n"""\n'),
    "quotes around": (DEFS, BOTH_ASKED, f'"\n{RIGHT}"\n'),
    "headings around": (DEFS, BOTH_ASKED, f"### Solution\n\n{RIGHT}\n### Tests\n\nassert total([1]) == 2\n"),
    "steps around": (DEFS, BOTH_ASKED, f"1. Write it:\n\n{RIGHT}\n2. Run it.\n"),
    "a blank before the parenthesis": (DEFS, BOTH_ASKED, "It isn't more:\n\ndef total (xs):\n    return sum(xs)\n\nThat's it."),
    "two blanks before the name": (DEFS, BOTH_ASKED, "It isn't more:\n\ndef  total(xs):\n    return sum(xs)\n\nThat's it."),
    "a name with its type": (DEFS, BOTH_ASKED, "That's it:\n\nfrom typing import Callable\ntotal: Callable = lambda xs: sum(xs)\n\nIt's short."),
    "a name without blanks": (DEFS, BOTH_ASKED, "That's it:\n\ntotal=lambda xs: sum(xs)\n\nIt's short."),
    "a signature over lines": (DEFS, BOTH_ASKED, "That's it:\n\ndef total(\n    xs,\n):\n    return sum(xs)\n\nIt's short."),
    "a longer name before": (DEFS, BOTH_ASKED, f"It's:\n\nclass totalizer:\n    pass\n\nand isn't more:\n\n{RIGHT}\nOK, that's it."),
    # thoughts
    "Cohere's thoughts": (BOTH, BOTH_ASKED, f"<|START_THINKING|>Maybe\n{block(WRONG)}<|END_THINKING|><|START_RESPONSE|>{block(RIGHT)}<|END_RESPONSE|>"),
    "Cohere's thoughts, unfenced": (BOTH, BOTH_ASKED, f"<|START_THINKING|>Hm\n{WRONG}<|END_THINKING|><|START_TEXT|>{block(RIGHT)}<|END_TEXT|>"),
    "Cohere's thoughts, begun in the prompt": (BOTH, BOTH_ASKED, f"Hm\n{block(WRONG)}<|END_THINKING|><|START_RESPONSE|>{block(RIGHT)}<|END_RESPONSE|>"),
    "Apertus' thoughts": (BOTH, BOTH_ASKED, f"<|inner_prefix|>{block(WRONG)}<|inner_suffix|>{block(RIGHT)}"),
    "Gemma 4's thoughts": (BOTH, BOTH_ASKED, f"<|channel>thought\n{block(WRONG)}<channel|>{block(RIGHT)}<turn|>"),
    "Gemma 4's thoughts, unfenced": (DEFS, BOTH_ASKED, f"<|channel>thought\n{WRONG}\n<channel|>{RIGHT}<turn|>"),
    "Gemma 4's thoughts, begun in the prompt": (BOTH, BOTH_ASKED, f"So\n{block(WRONG)}no.<channel|>Here:\n{block(RIGHT)}"),
    "Gemma 4's thoughts, none": (DEFS, [GO_ON], f"<|channel>thought\n<channel|>{BODY}<turn|>"),
    "Solar's thoughts": (BOTH, BOTH_ASKED, f"<|think|>Perhaps\n{block(WRONG)}<|end|><|begin|>assistant<|content|>{block(RIGHT)}<|end|>"),
    "Solar's thoughts, none": (BOTH, BOTH_ASKED, f"<|think|><|end|><|begin|>assistant<|content|>{block(RIGHT)}<|end|>"),
    "LongCat's thoughts": (BOTH, BOTH_ASKED, f"<longcat_think>\n{block(WRONG)}</longcat_think>\n{block(RIGHT)}"),
    "Seed's thoughts with a budget": (BOTH, BOTH_ASKED, f"<seed:think>\n<seed:cot_budget_reflect>10 tokens used</seed:cot_budget_reflect>\n{block(WRONG)}</seed:think>\n{block(RIGHT)}"),
    "Granite's words": (BOTH, BOTH_ASKED, f"Here is my thought process:\n{block(WRONG)}\nHere is my response:\n{block(RIGHT)}"),
    "three channels": (BOTH, BOTH_ASKED, f"<|channel|>analysis<|message|>{block(WRONG)}<|end|><|start|>assistant<|channel|>commentary<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>{block(RIGHT)}"),
    "a thought that ends within a line": (BOTH, BOTH_ASKED, f"I would\n{block(WRONG)}but no.</think>Here:\n{block(RIGHT)}"),
    "an empty thought, then a body": (DEFS, [GO_ON], f"<think>\n\n</think>\n\n{BODY}"),
    # special tokens
    "Gemma 4's end of a turn": ((*DEFS, *STOPS), [GO_ON], f"{BODY}<turn|>\n<|turn>user\nThanks"),
    "Gemma 4's beginning of a turn": (BOTH, BOTH_ASKED, f"<|turn>model\n{block(RIGHT)}<turn|>"),
    "Gemma 4's call of a tool": ((*DEFS, *STOPS), [GO_ON], f"{BODY}<|tool_call>call:run{{}}<tool_call|>"),
    **{
        f"{token} {place}": ((*DEFS, *STOPS), [GO_ON], f"{BODY if own_line else BODY.rstrip()}{token}{behind}")
        for token in ("<seed:eos>", "<[end▁of▁sentence]>", "<_end>", "<eod>", "<reserved_107>", "<tool_call>", "<minimax:tool_call>", "[e~[", "]~b]")
        for place, own_line, behind in (
            ("at the end of a line", False, ""),
            ("on a line of its own", True, "\nimport nothing_such\n"),
            ("and more text", True, "It's done"),
        )
    },
    "a program about tokens": (BOTH, BOTH_ASKED, block("def total(xs):\n    s = '<channel|><|turn>'\n    return sum(xs) + len(s) - 17\n")),
    "comparisons like tokens": (DEFS, [GO_ON], "    a = 1\n    b = a|1\n    return sum(xs) + (b<a)\n\nThat isn't <|all|>"),
}  # fmt: skip

WRONG_CASES = {
    "Cohere's thoughts that never end": (BOTH, BOTH_ASKED, f"<|START_THINKING|>Hm\n{block(RIGHT)}"),
    "Gemma 4's thoughts that never end": (BOTH, BOTH_ASKED, f"<|channel>thought\n{block(RIGHT)}"),
    "Solar's thoughts that never end": (BOTH, BOTH_ASKED, f"<|think|>\n{block(RIGHT)}"),
    "a channel of thoughts alone": (BOTH, BOTH_ASKED, f"<|channel|>analysis<|message|>{block(RIGHT)}"),
    "lines with their numbers": (BOTH, BOTH_ASKED, block("1 def total(xs):\n2     return sum(xs)\n")),
    "a session": (BOTH, BOTH_ASKED, block(">>> def total(xs):\n...     return sum(xs)\n")),
    "pseudocode": (BOTH, BOTH_ASKED, block("function total(xs)\n  return sum(xs)\nend\n", "pseudo")),
    "two versions in one block: Python takes the last": (BOTH, BOTH_ASKED, block(f"{RIGHT}\n{WRONG}")),
    "a body whose first line lost its indentation": (BOTH, [GO_ON], "r = 0\n    for x in xs:\n        r += x\n    return r\n"),
    "a body indented by one": (BOTH, [GO_ON], " return sum(xs)\n"),
    "words alone": (BOTH, BOTH_ASKED, "Use sum(xs)."),
    "a definition in a sentence": (BOTH, BOTH_ASKED, "Write def total(xs): return sum(xs) and that's all."),
    "a variable of an example behind": (BOTH, [ALONE], f"{block('def total(xs):' + chr(10) + '    return sum(xs) + n' + chr(10))}\nUse:\n{block('n = 0' + chr(10) + 'print(total([1]))' + chr(10))}"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT_CASES)
def test_a_right_answer_is_found(name: str) -> None:
    rules, kinds, completion = RIGHT_CASES[name]
    got = {(rule, bool(asked.prefix)): result(rule, asked, completion) for rule in rules for asked in kinds}
    assert set(got.values()) == {7}, got


@pytest.mark.parametrize("name", WRONG_CASES)
def test_no_answer_is_made_of_what_is_none(name: str) -> None:
    rules, kinds, completion = WRONG_CASES[name]
    assert 7 not in [result(rule, asked, completion) for rule in rules for asked in kinds]
