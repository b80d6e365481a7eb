"""Held-out text by domain, for measurements on what models have not seen: code, prose, programs of list operations."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator

from mtp_eval.harness.training.documents import held_out, stdlib_files

HELD_OUT_SHARE = 0.05
"""The trainer's default, so that models trained on the standard library have not seen these files."""


def code() -> Iterator[str]:
    """The held-out files of the standard library."""
    for name, path in stdlib_files():
        if held_out(name, HELD_OUT_SHARE):
            yield path.read_text("utf-8", "surrogateescape")


def prose() -> Iterator[str]:
    """Their docstrings, those of a module one after another."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for source in code():
        try:
            tree = ast.parse(source.encode("utf-8", "replace"))
        except (SyntaxError, ValueError):
            continue
        found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
        yield "\n\n".join(text for text in found if text)


def listops() -> Iterator[str]:
    """The prompts of listops' test problems, mixed, so that the first few are not the easiest ones."""
    from mtp_eval.tasks.registry import load_task

    prompts = [problem.prompt for problem in load_task("listops").problems()]
    random.Random(0).shuffle(prompts)
    yield from prompts


TEXTS = {"code": code, "prose": prose}
"""Long texts, which prompts are cut from."""
PROMPTS = {"listops": listops}
"""Texts each of which is a prompt."""
