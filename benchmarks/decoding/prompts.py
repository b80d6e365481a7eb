"""Prompts for the studies of this folder: held-out code, prose, and listops, as token lists of one length or as requests."""

from __future__ import annotations

from collections.abc import Iterator

from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.training.documents import held_out, stdlib_files
from mtp_eval.tasks.problem import Request

HELD_OUT_SHARE = 0.05  # the trainer's default, so that its models have not seen these files


def texts(source: str) -> Iterator[str]:
    """Documents of "code" (held-out files of the standard library), "text" (the prose in their docstrings), or "listops"."""
    if source == "listops":
        from mtp_eval.tasks.synthetic.listops import ListopsTask

        for problem in ListopsTask("listops").problems():
            yield problem.prompt
        return
    for name, path in stdlib_files():
        if not held_out(name, HELD_OUT_SHARE):
            continue
        text = path.read_text("utf-8", "surrogateescape")
        yield text if source == "code" else prose(text)


def prose(source: str) -> str:
    """The docstrings of a module, one after another."""
    import ast

    try:
        tree = ast.parse(source.encode("utf-8", "replace"))
    except (SyntaxError, ValueError):
        return ""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
    return "\n\n".join(text for text in found if text)


def requests(
    tokenizer: Tokenizer, source: str, n: int, prompt_tokens: int, new_tokens: int, seed: int = 0
) -> list[Request]:
    """`n` prompts from different places, each of `prompt_tokens` tokens where the source has them, without stop strings."""
    found: list[Request] = []
    offset = 0
    while len(found) < n:
        before = len(found)
        for text in texts(source):
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
