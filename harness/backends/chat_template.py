"""A chat as the text that a model reads: its own template around the turns and the beginning of the answer."""

from __future__ import annotations

from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Chat, Request

_CUT = "-[[]]-the-answer-goes-on-here-[[]]-"


def templated(tokenizer: Any, chat: Chat, system: str = "") -> str:
    """The text up to where the model goes on.

    Special tokens that the template writes are all there are; none is added when the text is turned into ids.

    Raises:
        InputError: the template drops what an answer begins with, or takes no system prompt.
    """
    turns = chat.messages(system, chat.question)
    try:
        text = (_cut if chat.keeps_space else _continued)(tokenizer, turns, chat.answer_start)
    except Exception as error:  # a template raises what it likes, such as that it takes no system prompt
        raise InputError(f"the model's chat template refuses the question: {error}") from None
    if not text.rstrip().endswith(chat.answer_start.strip()) or (
        chat.keeps_space and not text.endswith(chat.answer_start)
    ):
        raise InputError(
            "the model's chat template does not keep the beginning of an answer, which protocols @chat and "
            "@lm-eval-instruct need"
        )
    return text


def request_ids(tokenizer: Any, request: Request, system: str = "") -> tuple[list[int], int]:
    """A request as a tokenizer of transformers has it, and how many of the ids it puts before a text.

    A template writes its special tokens itself.
    """
    if request.chat is not None:
        return list(tokenizer.encode(templated(tokenizer, request.chat, system), add_special_tokens=False)), 0
    ids = list(tokenizer.encode(request.prompt, add_special_tokens=True))
    return ids, len(ids) - len(tokenizer.encode(request.prompt, add_special_tokens=False))


def _cut(tokenizer: Any, turns: list[dict[str, str]], start: str) -> str:
    """As EvalPlus makes it: the template is given an answer with a mark in it, and cut there."""
    answer = {"role": "assistant", "content": f"{start}{_CUT}\n```\n"}
    before, found, _ = str(tokenizer.apply_chat_template([*turns, answer], tokenize=False)).partition(_CUT)
    return before if found else ""


def _continued(tokenizer: Any, turns: list[dict[str, str]], start: str) -> str:
    """As lm-eval makes it: the template is given the beginning as the last turn, which is left open."""
    answer = {"role": "assistant", "content": start}
    try:
        return str(tokenizer.apply_chat_template([*turns, answer], tokenize=False, continue_final_message=True))
    except ValueError:  # transformers does not find the beginning again
        return ""
