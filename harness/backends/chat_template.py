"""A chat as the text that a model reads: its own template around the question and the beginning of the answer."""

from __future__ import annotations

from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Chat

_CUT = "-[[]]-the-answer-goes-on-here-[[]]-"


def templated(tokenizer: Any, chat: Chat, system: str = "") -> str:
    """The text up to where the model goes on, as EvalPlus makes it: the template is given an answer with a mark in it, and cut there.

    Special tokens that the template writes are all there are; none is added when the text is turned into ids.

    Raises:
        InputError: the template drops what an answer begins with, or takes no system prompt.
    """
    turns = [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": chat.question},
        {"role": "assistant", "content": f"{chat.answer_start}{_CUT}\n```\n"},
    ]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except Exception as error:  # a template raises what it likes, such as that it takes no system prompt
        raise InputError(f"the model's chat template refuses the question: {error}") from None
    before, found, _ = text.partition(_CUT)
    if not found or not before.endswith(chat.answer_start):
        raise InputError(
            "the model's chat template does not keep the beginning of an answer, which protocols @chat need"
        )
    return str(before)
