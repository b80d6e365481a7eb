"""Completions as models write them, each with the answer that its program gives when it was read rightly.

Every text here was written for this test; the oracle runs the extracted program and calls its function.
"""

# ruff: noqa: E501  (each input on one line)

from __future__ import annotations

import pytest

from mtp_eval.tasks.extract import Asked, rule_named

PROMPT = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Sum the numbers.\n    >>> total([1, 2])\n    3\n    """\n'
GO_ON = Asked(PROMPT, "total", ("\nclass", "\ndef", "\n#", "\nif", "\nprint"))
STRIPPED = Asked(PROMPT.strip(), "total", ("\nclass", "\ndef"))
ALONE = Asked("", "total", ("[DONE]",))
NARROW = Asked('def total(xs):\n "s=sum of xs"\n', "total", ("\ndef", "\n\n"))
TABS = Asked('def total(xs):\n\t"""Sum."""\n', "total", ("\ndef",))
COMMENTED = Asked("def total(xs):\n    # sum them\n", "total", ("\ndef",))

RIGHT = "def total(xs):\n    return sum(xs)\n"
WRONG = "def total(xs):\n    return -1\n"
BODY = "    return sum(xs)\n"
B, FENCE, DEFS, STOPS, LONGEST = ("fence", "definitions"), ("fence",), ("definitions",), ("stops",), ("longest",)


def block(code: str, language: str = "python", mark: str = "```") -> str:
    return f"{mark}{language}\n{code}{mark}\n"


CASES = {
    # thoughts
    "a thought, then the answer": (B, [GO_ON, ALONE], f"<think>\nIs it {block(WRONG)}? No.\n</think>\n\n{block(RIGHT)}"),
    "a thought whose beginning stood in the prompt": (B, [GO_ON, ALONE], f"So I would\n{block(WRONG)}\nno.\n</think>\n{block(RIGHT)}"),
    "a thinking tag of another name": (B, [ALONE], f"<thinking>{block(WRONG)}</thinking>{block(RIGHT)}"),
    "a reasoning tag in capitals": (B, [ALONE], f"<REASONING>\n{block(WRONG)}</REASONING>\n{block(RIGHT)}"),
    "brackets for tags": (B, [ALONE], f"[THINK]{block(WRONG)}[/THINK]\n{block(RIGHT)}"),
    "triangles for tags": (B, [ALONE], f"◁think▷{block(WRONG)}◁/think▷{block(RIGHT)}"),
    "tokens for tags": (B, [ALONE], f"<|begin_of_thought|>\n{block(WRONG)}<|end_of_thought|>\n{block(RIGHT)}"),
    "two thoughts": (B, [ALONE], f"<think>a</think>\nSo\n<think>\n{block(WRONG)}</think>\n{block(RIGHT)}"),
    "a thought, then code without a fence": (DEFS, [GO_ON, ALONE], f"<think>\nhm, return -1?\n</think>\n{RIGHT}"),
    "a thought, then a body": (DEFS, [GO_ON], f"<think>\nhm\n</think>\n{BODY}"),
    "channels": (
        B,
        [ALONE],
        f"<|channel|>analysis<|message|>{block(WRONG)}<|end|><|start|>assistant<|channel|>final<|message|>{block(RIGHT)}<|return|>",
    ),
    "a program about thoughts": (
        B,
        [ALONE],
        block("import re\ndef total(xs):\n    s = '<think>x</think>'\n    return sum(xs) + len(re.sub('<think>.*</think>', '', s))\n"),
    ),
    # several blocks
    "a draft, then the answer": (B, [GO_ON, ALONE], f"First:\n{block(WRONG)}\nBetter:\n{block(RIGHT)}"),
    "the answer, then its use": (B, [GO_ON, ALONE], f"{block(RIGHT)}\nUse it so:\n{block('print(total([1, 2]))' + chr(10))}"),
    "the answer, then its output": (B, [GO_ON, ALONE], f"{block(RIGHT)}\nIt prints\n{block('3' + chr(10), '')}"),
    "a shell block first": (B, [GO_ON, ALONE], f"{block('pip install numpy' + chr(10), 'bash')}\n{block(RIGHT)}"),
    "a block without a language first": (B, [ALONE], f"{block('total([1]) -> 1' + chr(10), '')}\n{block(RIGHT)}"),
    "JSON first": (B, [ALONE], f"{block('{}' + chr(10), 'json')}then\n{block(RIGHT, 'py')}"),
    "another language last": (B, [ALONE], f"{block(RIGHT)}\nIn JavaScript:\n{block('function total(xs) {}' + chr(10), 'javascript')}"),
    "imports in a block of their own": (
        B,
        [ALONE, GO_ON],
        f"{block('import math' + chr(10))}\n{block('def total(xs):' + chr(10) + '    return int(math.fsum(xs))' + chr(10))}",
    ),
    "a helper in a block of its own": (
        B,
        [ALONE, GO_ON],
        f"Helper:\n{block('def plus(a, b):' + chr(10) + '    return a + b' + chr(10))}\nThen:\n"
        f"{block('import functools' + chr(10) + 'def total(xs):' + chr(10) + '    return functools.reduce(plus, xs, 0)' + chr(10))}",
    ),
    "a body, then its use": (B, [GO_ON], f"{block(BODY)}\nFor example\n{block('total([])' + chr(10))}"),
    "tests in a block of their own": (B, [ALONE], f"{block(RIGHT)}Tests:\n{block('def test_total():' + chr(10) + '    assert total([]) == 1' + chr(10))}"),
    # forms of fences
    "a fence with more ticks": (B, [GO_ON, ALONE], block(RIGHT, mark="````")),
    "tildes": (B, [GO_ON, ALONE], block(RIGHT, mark="~~~~")),
    "a language in capitals": (B, [ALONE], block(RIGHT, "Python")),
    "a language with a title": (B, [ALONE], block(RIGHT, 'python title="total.py"')),
    "a language in braces": (B, [ALONE], block(RIGHT, "{.python}")),
    "no language": (B, [GO_ON, ALONE], block(RIGHT, "")),
    "a blank before the language": (B, [ALONE], block(RIGHT, " python")),
    "line ends of Windows": (B, [GO_ON, ALONE], f"Sure:\n{block(RIGHT)}Done.".replace("\n", "\r\n")),
    "a fence that never closes": (B, [GO_ON, ALONE], f"Sure:\n```python\n{RIGHT}"),
    "a fence that never closes, and a special token": (B, [ALONE], f"```python\n{RIGHT}<|im_end|>"),
    "a fence behind text": (B, [GO_ON, ALONE], f"Sure, here: {block(RIGHT)}"),
    "a closing fence behind code": (B, [ALONE], f"```python\n{RIGHT.rstrip()}```\nDone."),
    "in a list": (B, [ALONE], "1. Do:\n\n   ```python\n   def total(xs):\n       return sum(xs)\n   ```\n2. Done"),
    "far inside": (B, [ALONE], "        ```python\n        def total(xs):\n            return sum(xs)\n        ```\n"),
    "in a quote": (B, [ALONE], "> ```python\n> def total(xs):\n>     return sum(xs)\n> ```\n"),
    "below a tag": (B, [ALONE], f"<answer>\n{block(RIGHT)}</answer>\n"),
    "a fence inside a docstring": (
        B,
        [GO_ON, ALONE],
        block('def total(xs):\n    """Sum.\n\n```\ntotal([1])\n```\n    """\n    return sum(xs)\n'),
    ),
    "a fence with a language inside a docstring": (
        B,
        [ALONE],
        block('def total(xs):\n    """Sum.\n    ```python\n    total([1])\n    ```\n    """\n    return sum(xs)\n'),
    ),
    "ticks inside a string": (B, [ALONE], block("def total(xs):\n    t = '```'\n    return sum(xs) + len(t) - 3\n")),
    "opened in the prompt": (B, [GO_ON], f"{BODY}```\nThis sums.\n"),
    "opened in the prompt, whole": (B, [ALONE], f"{RIGHT}```\nThis sums.\n"),
    "opened in the prompt, and another block": (B, [ALONE], f"{RIGHT}```\nUse:\n{block('print(1)' + chr(10))}"),
    "inline code only": (DEFS, [ALONE], f"The function `total` uses `sum`:\n\n{RIGHT}\nThat is ```all```"),
    # joining with the prompt
    "a stripped prompt and a whole function": (B, [STRIPPED], block(RIGHT)),
    "a stripped prompt and a body": (B, [STRIPPED], block(BODY)),
    "a prompt indented by one": (B, [NARROW], block(RIGHT)),
    "a prompt indented by one and a body": (B, [NARROW], block(" return sum(xs)\n")),
    "a prompt with tabs": (FENCE, [TABS], block("def total(xs):\n\treturn sum(xs)\n")),
    "a prompt that ends with a comment": (B, [COMMENTED], block(RIGHT)),
    "the prompt again": (B, [GO_ON], block(PROMPT + BODY)),
    "the prompt again without a fence": (DEFS, [GO_ON], PROMPT + BODY),
    # no fence
    "prose around": (DEFS, [GO_ON, ALONE], f"Here is the function:\n\n{RIGHT}\nI hope it helps!"),
    "prose around a decorated function": (
        DEFS,
        [ALONE],
        "It caches:\n\nfrom functools import wraps\n\ndef same(f):\n    return f\n\n@same\ndef total(xs):\n    return sum(xs)\n\nThat's it.",
    ),
    "prose between two versions": (DEFS, [GO_ON, ALONE], f"First\n\n{WRONG}\nNo, that's wrong, rather:\n\n{RIGHT}\nDone, isn't it?"),
    "prose between imports and function": (DEFS, [ALONE], "import math\n\nNow the function is:\n\ndef total(xs):\n    return int(math.fsum(xs))\n"),
    "a body with prose behind": (DEFS, [GO_ON], f"{BODY}\n\nThis function sums the numbers, doesn't it?"),
    "a long answer with prose": (
        DEFS,
        [GO_ON, ALONE],
        "It's long.\n\n" + "".join(f"def helper_{i}(x):\n    y = x + {i}\n    return y\n\n" for i in range(150)) + RIGHT + "\nThat's all.",
    ),
    "cut in the middle of a line": (DEFS, [GO_ON, ALONE], f"{RIGHT}\n\ndef more(x):\n    return (x +"),
    "usage behind it": (DEFS, [ALONE], f"{RIGHT}\nprint(total([1]))\nassert total([]) == 1\ninput()\n"),
    # what the function needs
    "an import that may fail": (DEFS, [ALONE], block("try:\n    import nosuch_module as n\nexcept ImportError:\n    n = None\n\ndef total(xs):\n    return sum(xs) if n is None else 0\n")),
    "a table filled by a loop": (DEFS, [ALONE, GO_ON], block("T = {}\nfor i in range(20):\n    T[i] = i\n\ndef total(xs):\n    return sum(T[x] for x in xs)\n")),
    "a table filled by a method": (DEFS, [ALONE], block("T = []\nfor i in range(20):\n    T.append(i)\n\ndef total(xs):\n    return sum(T[x] for x in xs)\n")),
    "a limit of recursion": (
        DEFS,
        [ALONE],
        block("import sys\nsys.setrecursionlimit(20000)\n\ndef down(n):\n    return n and down(n - 1)\n\ndef total(xs):\n    return sum(xs) + down(5000)\n"),
    ),
    "a setting by attribute": (DEFS, [ALONE], block("import decimal\ndecimal.getcontext().prec = 50\n\ndef total(xs):\n    return sum(xs) + decimal.getcontext().prec - 50\n")),
    "a choice of implementation": (DEFS, [ALONE], block("import sys\nif sys.version_info >= (3,):\n    def plus(a, b):\n        return a + b\nelse:\n    plus = None\n\ndef total(xs):\n    r = 0\n    for x in xs:\n        r = plus(r, x)\n    return r\n")),
    "a function that is wrapped": (DEFS, [ALONE], block("def total(xs):\n    return sum(xs)\n\nkept = total\n\ndef total(xs):\n    return kept(xs)\n")),
    "an attribute of the function": (DEFS, [ALONE], block("def total(xs):\n    return sum(xs) + total.bias\n\ntotal.bias = 0\n")),
    "a class": (DEFS, [ALONE], block("class Adder:\n    start = 0\n    def add(self, xs):\n        return sum(xs, self.start)\n\ntotal = Adder().add\n")),
    "a main guard": (DEFS, [ALONE], block(f"{RIGHT}\nif __name__ == '__main__':\n    raise SystemExit(total([1]))\n")),
    "an asynchronous helper": (DEFS, [ALONE], block("import asyncio\n\nasync def add(xs):\n    return sum(xs)\n\ndef total(xs):\n    return asyncio.run(add(xs))\n")),
    # special tokens
    "an end token behind a body": (STOPS, [GO_ON], f"{BODY}<|endoftext|>\nprint(0"),
    "an end token that is not barred": (STOPS + DEFS, [GO_ON], f"{BODY}</s><s>[INST] more"),
    "a turn's beginning": (STOPS + DEFS + LONGEST, [GO_ON, ], f"{BODY}<|start_header_id|>user<|end_header_id|>\nThanks"),
    "a token of wide bars": (STOPS + DEFS, [GO_ON], f"{BODY}<｜end▁of▁sentence｜>更多"),
    "a beginning token in front": (STOPS + DEFS, [GO_ON], f"<s>{BODY}"),
    "a role in front": (B, [ALONE], f"<|im_start|>assistant\n{block(RIGHT)}<|im_end|>"),
    "a token behind a comment": (STOPS + DEFS, [GO_ON], "    return sum(xs)  # done<|im_end|>def x("),
    "a token inside a string": (STOPS + DEFS + LONGEST, [GO_ON], "    end = '<|im_end|>'\n    return sum(xs) + len(end) - 10\n"),
    "a token inside a long string, and a real one": (
        STOPS + DEFS,
        [GO_ON],
        '    end = """\n</s>\n"""\n    return sum(xs) + len(end) - 6\n<|endoftext|>class',
    ),
    "a token's name in a comment": (STOPS + DEFS, [GO_ON], "    # </s> ends a text\n    return sum(xs)\n<|im_end|>def x("),
    "a file separator": (STOPS + DEFS, [GO_ON], f"{BODY}<file_sep>import (" ),
    "a program with a tag at the margin": (
        B,
        [ALONE],
        'T = """\n<think>\nx\n</think>\n"""\ndef total(xs):\n    return sum(xs) + len(T) - 20\n',
    ),
    # whole lines
    "prose behind a body, by whole lines": (LONGEST, [GO_ON], f"{BODY}\nThat's it, isn't it?\nYes."),
    "a lone fence behind a body, by whole lines": (LONGEST, [GO_ON], f"{BODY}```\nThat's it."),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_the_program_that_was_meant_is_found(case: str):
    rules, kinds, completion = CASES[case]
    for rule in rules:
        for asked in kinds:
            source = rule_named(rule).apply(asked, completion).source
            namespace: dict = {"__name__": "solution"}
            try:
                exec(compile(source, "<extracted>", "exec"), namespace)
                got = namespace["total"]([1, 2, 4])
            except Exception as error:
                got = error
            assert got == 7, f"{rule}: {got!r}\n{source}"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It's 5 apples.<|eot_id|>Isn't that so?", "It's 5 apples."),
        ("The users' answer is 5.</s>Q: What's 2?", "The users' answer is 5."),
        ("It isn't '</s>' but 5.<|im_end|>", "It isn't '</s>' but 5."),
        ("x = f'</s>'\nand so on<|im_end|>more", "x = f'</s>'\nand so on"),
    ],
)
def test_an_apostrophe_begins_no_string(text: str, kept: str):
    assert rule_named("stops").apply(Asked(), text).source == kept


def test_there_are_sixty_inputs_at_least():
    assert sum(len(rules) * len(kinds) for rules, kinds, _ in CASES.values()) > 100
    assert len(CASES) >= 60


@pytest.mark.parametrize("rule", ["stops", "fence", "longest", "definitions"])
def test_what_is_cut_is_named(rule: str):
    found = rule_named(rule).apply(ALONE, f"{RIGHT}<|im_end|>user\n")
    assert found.cut == ("15 characters with <|im_end|>",), found
    assert rule_named(rule).apply(ALONE, RIGHT).cut == ()
    assert rule_named("raw").apply(ALONE, f"{RIGHT}<|im_end|>").cut == ()


def test_each_cut_is_said_in_words():
    cut = (
        rule_named("definitions")
        .apply(ALONE, f"<think>x</think>{block(WRONG)}and{block(RIGHT + 'print(1)' + chr(10) * 2)}")
        .cut
    )
    assert cut == ("16 characters of thoughts", "text around one block of 2", "1 line that total does not need")
    assert rule_named("stops").apply(ALONE, f"{RIGHT}[DONE]\nx").cut == (
        "8 characters from the stop string '[DONE]' on",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["```\n" * 3000, "(" * 5000, '"""' * 2001, "@a\n" * 3000, "<think>" * 3000, "x = [\n" * 2000, "# <|a|>\n" * 3000, "if x:\n" * 2000],
    ids=["fences", "brackets", "quotes", "decorators", "thoughts", "lists", "comments", "blocks"],
)  # fmt: skip
def test_no_text_is_too_much(text: str):
    for rule in ("stops", "fence", "longest", "definitions"):
        rule_named(rule).apply(GO_ON, text)
        rule_named(rule).apply(ALONE, text)
