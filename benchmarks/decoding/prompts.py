"""Prompts for the studies of this folder: held-out code, prose, and listops, as token lists of one length or as requests."""

from __future__ import annotations

from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.training import domains
from mtp_eval.tasks.problem import Request

TEXTS = {"code": domains.code, "text": domains.prose, "listops": domains.listops}


def requests(
    tokenizer: Tokenizer, source: str, n: int, prompt_tokens: int, new_tokens: int, seed: int = 0
) -> list[Request]:
    """`n` prompts from different places, each of `prompt_tokens` tokens where the source has them, without stop strings."""
    found: list[Request] = []
    offset = 0
    while len(found) < n:
        before = len(found)
        for text in TEXTS[source]():
            ids = tokenizer.encode(text[offset * 8 : (offset + prompt_tokens) * 8])
            if source != "listops" and len(ids) < prompt_tokens:
                continue
            name = f"{source}/{len(found)}"
            prompt = tokenizer.decode(ids[:prompt_tokens])
            found.append(Request(name, 0, prompt, seed=seed + len(found), max_new_tokens=new_tokens))
            if len(found) == n:
                break
        offset += prompt_tokens
        if len(found) == before:
            raise SystemExit(f"too little text of the kind {source!r} here for {n} prompts of {prompt_tokens} tokens")
    return found
