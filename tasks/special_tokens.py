"""Special tokens that a harness decoded as text: they end a completion, unless they stand where Python may have such text.

Two kinds. Marks like `<|endoftext|>` are no Python anywhere outside a string literal. Marks like `</s>`, `<filename>` or
`[/INST]` may also stand in a comment (and `a <s> b` is a comparison), so they count outside comments only. A text that
parses as it is has no special tokens, whatever it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BARRED = r"<\|[A-Za-z_][\w▁ ./:-]{0,40}\|>|<\|[a-z_]{2,20}>|<[a-z_]{2,20}\|>|\[\|[a-z]+\|\]|<｜[^｜\n]{1,40}｜>|◁/?\w+▷"
NAMES = (
    r"▁?(?:</?s>|<(?:EOT|EOD|EOS|eod|eos|bos|pad|unk|eot|eom|end_of_turn|start_of_turn|end_of_text|endoftext|end_of_utterance"
    r"|file_sep|filename|reponame|repo_name|gh_stars|empty_output|(?:fim|jupyter|issue|commit|pr)_[a-z_]+)>"
    r"|<(?:PRE|SUF|MID|sop|eop|eoa|eoh|extra_id_\d+|reserved_\d+|_[a-z]+|seed:[a-z]+|(?:[a-z]+:)?tool_call)>"
    r"|<\[[A-Za-z]+▁[^\]\n]{1,30}\]>|\[e~\[|\]~!?b[\[\]]"
    r"|\[/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|gMASK)\]|<</?SYS>>)"
)
QUOTED = r'"""(?:\\.|[^\\])*?"""' + r"|'''(?:\\.|[^\\])*?'''" + r'|"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'"
STRING = rf"(?<!\w)(?i:[rbuf]|[bf]r|r[bf])?(?:{QUOTED})"
"""A string literal; an apostrophe behind a letter, as in prose, begins none."""
SCAN = re.compile(rf"(?P<barred>{BARRED})|(?P<string>{STRING})|(?P<comment>#[^\n]*)|(?P<named>{NAMES})", re.DOTALL)
IN_COMMENT = re.compile(BARRED)
LEADING = re.compile(rf"\s*(?:{BARRED}|{NAMES})(?:\s*(?:assistant|model)\b[ \t]*\n?)?")
FINAL_CHANNEL = "<|channel|>final<|message|>"
"""After which the answer proper stands where a model writes its thoughts into channels of their own."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A completion up to its first special token.

    Args:
        text: what stands before it.
        cut: the tokens that were taken away, in order.
    """

    text: str
    cut: tuple[str, ...]


def end_at_special_token(prefix: str, completion: str) -> Ended:
    """The completion without leading special tokens and without anything from the next one on.

    Args:
        prefix: what the program begins with; its strings and comments may still be open where the completion begins.
        completion: the raw text, which as a whole is no Python.
    """
    cut = []
    _, channel, answer = completion.rpartition(FINAL_CHANNEL)
    if channel:
        completion = answer
        cut.append(channel)
    while leading := LEADING.match(completion):
        cut.append(leading.group().strip())
        completion = completion[leading.end() :]
    text = prefix + completion
    for found in SCAN.finditer(text):
        at = _position(found)
        if at is not None and at[0] >= len(prefix):
            return Ended(completion[: at[0] - len(prefix)], (*cut, at[1]))
    return Ended(completion, tuple(cut))


def _position(found: re.Match[str]) -> tuple[int, str] | None:
    """Where the special token of a scanned piece begins, and its text; None where it has none that counts."""
    if found.lastgroup in ("barred", "named"):
        return found.start(), found.group()
    if found.lastgroup == "comment" and (inside := IN_COMMENT.search(found.group())):
        return found.start() + inside.start(), inside.group()
    return None
