"""Raw completion -> source, for the complaints that other harnesses collected (research notes, complaints 12 to 19)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mtp_eval.tasks.errors import UnknownRuleError
from mtp_eval.tasks.extract import Asked, compiles, rule_named, rules
from mtp_eval.tasks.rule_statistics import statistics

PROMPT = 'from typing import List\n\n\ndef add(a: int, b: int) -> int:\n    """Add."""\n'
CONTINUING = Asked(PROMPT, "add", ("\ndef", "\n#", "\nif"))
WHOLE = Asked("", "add", ("[DONE]",))


def run(rule: str, asked: Asked, completion: str, prefix: str | None = None) -> str:
    return rule_named(rule).apply(asked if prefix is None else replace(asked, prefix=prefix), completion).source


def adds(source: str) -> bool:
    namespace: dict[str, object] = {}
    exec(source, namespace)
    return namespace["add"](2, 3) == 5  # type: ignore[operator]


def test_a_completion_without_a_stop_word_is_kept_whole():
    """Complaint 12: a harness that dropped the last block emptied completions which had no stop word."""
    assert run("stops", CONTINUING, "    return a + b") == PROMPT + "    return a + b"


def test_the_earliest_stop_cuts():
    text = "    return a + b\n# test\ndef other():\n    pass\n"
    assert run("stops", CONTINUING, text) == PROMPT + "    return a + b"


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|end_of_text|>", "<EOT>", "</s>", "<|im_end|>"])
def test_the_text_of_an_end_token_is_cut(mark):
    """Complaint 14: special tokens decoded into the text."""
    assert adds(run("stops", CONTINUING, f"    return a + b\n{mark} and then"))


def test_stop_words_that_cut_valid_code_do_not_in_the_syntax_rule():
    """Complaint 15: a comment at the left margin and a helper below are part of a right answer."""
    text = "    return helper(a, b)\n# helper\ndef helper(a, b):\n    return a + b\n\nprint(add(1, 2))\nand so on"
    cut = run("stops", CONTINUING, text)
    assert "helper(a, b)" in cut
    assert "def helper" not in cut
    kept = run("definitions", CONTINUING, text)
    assert adds(kept)
    assert "print" not in kept


def test_prose_and_fences_of_a_chat_model():
    """Complaint 18: chat answers score 0 because the fence is executed."""
    text = "Sure! Here is the function:\n\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."
    for rule in ("fence", "definitions"):
        assert adds(run(rule, WHOLE, text))
        assert adds(run(rule, CONTINUING, text))
    assert not compiles(run("raw", WHOLE, text))


def test_an_unclosed_fence_goes_to_the_end():
    assert adds(run("fence", WHOLE, "```\ndef add(a, b):\n    return a + b\n"))


def test_a_fenced_body_continues_the_prompt():
    assert adds(run("fence", CONTINUING, "```python\n    return a + b\n```"))


def test_a_right_program_is_never_emptied():
    """Complaint 17: a sanitiser turned a correct program into the empty string."""
    program = "import math\nLIMIT = 3\n\n@staticmethod\ndef add(a, b):\n    return int(math.fsum([a, b])) + LIMIT - 3\n"
    for name in rules():
        assert adds(run(name, WHOLE, program, prefix="").replace("@staticmethod\n", "")), name


def test_text_without_any_code_stays_what_it_is():
    assert run("raw", WHOLE, "I cannot help") == "I cannot help"
    assert (
        not compiles(run("definitions", WHOLE, "I cannot help with that"))
        or run("definitions", WHOLE, "I cannot") == ""
    )


def test_a_truncated_last_line_is_dropped_by_the_syntax_rules():
    text = "    return a + b\n\n\ndef other(x):\n    return (x +"
    assert adds(run("longest", CONTINUING, text))
    assert adds(run("definitions", CONTINUING, text))


def test_crlf_and_tabs_survive():
    assert adds(run("definitions", WHOLE, "def add(a, b):\r\n\treturn a + b\r\n"))
    assert run("raw", WHOLE, "a\r\n") == "a\r\n"


def test_unknown_rules_are_named():
    with pytest.raises(UnknownRuleError, match="raw, stops, fence"):
        rule_named("magic")


def test_statistics_count_what_each_rule_and_stop_did():
    pairs = [
        (WHOLE, "def add(a, b):\n    return a + b\n[DONE]\nmore"),
        (WHOLE, "def add(a, b):\n    return a + b\n"),
        (WHOLE, "```python\ndef add(a, b):\n    return a + b\n```"),
        (WHOLE, "[DONE]"),
    ]
    by_rule = {row.rule: row for row in statistics(pairs)}
    assert by_rule["raw"].n_changed == 0
    assert by_rule["raw"].n_compile == 3, "[DONE] is a list to Python"
    assert by_rule["stops"].n_changed == 2
    assert by_rule["stops"].n_emptied == 1
    assert by_rule["stops"].cut_by == {"[DONE]": 2}
    assert by_rule["fence"].n_compile == 4
    assert by_rule["raw"].n_fenced == 1
    assert all(row.n == 4 for row in by_rule.values())


def test_blank_lines_are_no_change():
    asked = Asked("import math\n\n\ndef f(x):\n", "f")
    by_rule = {
        each.rule: each for each in statistics([(asked, "    return x"), (asked, "    return x\n\n\nprint(1)\n")])
    }
    assert [by_rule[name].n_changed for name in ("raw", "fence", "definitions")] == [0, 0, 1]
    assert rule_named("definitions").apply(asked, "    return x").cut == ()
    assert rule_named("definitions").apply(asked, "    return x\n\n\nprint(1)").cut == ("1 line that f does not need",)
