"""The README's trees of folders and modules, made from the first line of each docstring.

`python -m tests.readme_tree` (part of `make fix`) writes them; tests/test_docs.py holds them against the folders.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("harness", "tasks", "sandbox", "results")
BESIDE = {
    "tests/": "mirrors the folders",
    "benchmarks/": "side by side with peers and physical floors; `make bench` lists them",
    "docs/": "what a user reads; `make docs` builds a site of it",
}
WIDTH = 24
"""Columns for the name, before the comment."""


def comment_of(path: Path) -> str:
    """The first line of a module's docstring, without its full stop and without a name that stands beside it anyway."""
    line = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
    line = re.sub(rf"^(`mtp-eval {path.stem}`|`?{path.stem}`?): (?=.)", "", line, flags=re.IGNORECASE)
    return line[:1].upper() + line[1:].removesuffix(".")


def tree_line(depth: int, name: str, comment: str) -> str:
    return f"{'  ' * depth + name:<{WIDTH}} {comment}"


def folder_tree() -> str:
    """The four packages and their rooms."""
    return "\n".join([*walk(modules=False), *(tree_line(0, name, comment) for name, comment in BESIDE.items())])


def module_tree() -> str:
    """Every module of the four packages, folders first named and then listed."""
    return "\n".join(walk(modules=True))


def walk(*, modules: bool) -> Iterator[str]:
    for package in PACKAGES:
        yield from folder(ROOT / package, 0, modules)


def folder(path: Path, depth: int, modules: bool) -> Iterator[str]:
    yield tree_line(depth, f"{path.name}/", comment_of(path / "__init__.py"))
    if modules:
        files = [file for file in sorted(path.glob("*.py")) if file.stem != "__init__"]
        yield from (tree_line(depth + 1, file.stem, comment_of(file)) for file in files)
    for inner in sorted(init.parent for init in path.glob("*/__init__.py")):
        yield from folder(inner, depth + 1, modules)


def with_trees(readme: str) -> str:
    """The README's text with both trees as the folders are now."""
    for name, tree in (("folders", folder_tree()), ("modules", module_tree())):
        block = rf"(<!-- {name}[^>]*-->\n\n```\n).*?(\n```\n)"
        escaped = tree.replace("\\", r"\\")
        readme, found = re.subn(block, rf"\g<1>{escaped}\g<2>", readme, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"README.md: expected one block after <!-- {name} -->, found {found}")
    return readme


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(with_trees(page.read_text("utf-8")), "utf-8")
