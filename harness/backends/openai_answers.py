"""Answers in OpenAI's protocol, which are not trusted: texts, reasons and counts, or what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from mtp_eval.harness.backends.usage import counts_of
from mtp_eval.harness.decoding.shares import shares

REFUSED = "refused"
"""The stop reason of a completion for which a server does not take the prompt."""
UNFINISHED = frozenset({"abort", "aborted", "error", "cancelled"})
"""Reasons of texts that a server did not complete, as when it is shut down."""
MOST_BYTES = 1 << 26
"""Of an answer; no text of a model is longer."""


class MalformedAnswerError(Exception):
    """The server answered with something else than the protocol's object."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One text that came back, why it ended, how many tokens it and its prompt had (0: the server does not say), and why there is none."""

    text: str
    reason: str
    n_tokens: int
    prompt_tokens: int
    refusal: str = ""


async def text_of(parts: AsyncIterator[bytes]) -> str:
    """The body of an answer: UTF-8, as all JSON is, whatever a header says; bytes that are not become U+FFFD.

    Raises:
        MalformedAnswerError: it has no end.
    """
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > MOST_BYTES:
            raise MalformedAnswerError(f"the answer has more than {MOST_BYTES >> 20} MiB")
    return body.decode("utf-8-sig", "replace")


def parsed(body: str) -> Mapping[str, Any]:
    """The object that a body holds.

    Raises:
        MalformedAnswerError: it holds none, or an error.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedAnswerError(f"the answer is not JSON: {body!r}") from None
    if not isinstance(answer, dict) or answer.get("error"):
        raise MalformedAnswerError(f"the answer is an error: {body}")
    return answer


def choices_of(answer: Mapping[str, Any], n: int, *, chat: bool) -> list[Choice]:
    """The texts of an answer, at most n; tokens are counted for all of them together, and each gets a share.

    Raises:
        MalformedAnswerError: it is not what the protocol says.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedAnswerError(f"the answer has no choices: {_shown(answer)}")
    prompt_tokens, n_tokens = counts_of(answer)
    texts = [_text(choice, chat=chat) for choice in choices[:n]]
    of_each = shares(n_tokens, [len(text) + 1 for text, _, _ in texts])
    return [
        Choice(text, reason, own, prompt_tokens, refusal)
        for (text, reason, refusal), own in zip(texts, of_each, strict=True)
    ]


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "lists in lists, too deep to be shown"


def _text(choice: Any, *, chat: bool) -> tuple[str, str, str]:
    """A choice's text, why it ended, and why the server refuses one.

    Raises:
        MalformedAnswerError: it has neither text nor refusal, or was not completed.
    """
    found = choice if isinstance(choice, dict) else {}
    given = found.get("finish_reason")
    reason = given if isinstance(given, str) and given else "stop"
    message = found.get("message") if chat else found
    said = message if isinstance(message, dict) else {}
    text, refusal = said.get("content" if chat else "text"), said.get("refusal")
    if not text and (reason == "content_filter" or refusal):
        return "", REFUSED, str(refusal or "content filter")
    if text is None and chat and (reason == "length" or said.get("reasoning_content") or said.get("reasoning")):
        text = ""  # all of its tokens went into reasoning
    if not isinstance(text, str):
        raise MalformedAnswerError(f"a choice has no text: {_shown(choice)}")
    if reason in UNFINISHED:
        raise MalformedAnswerError(f"the server did not complete a text (finish_reason {reason!r})")
    return text, reason, ""
