"""List the benchmarks: `python -m benchmarks`."""

from __future__ import annotations

import ast
from pathlib import Path


def listed() -> list[tuple[str, str]]:
    """Every benchmark with the first line of its docstring: what runs and knows --quick, unlike their helpers."""
    root = Path(__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        parts = path.relative_to(root.parent).with_suffix("").parts
        runs = any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)
        if runs and "study_parser(" in text and path != Path(__file__):
            name = ".".join(parts).removesuffix(".__main__")
            found.append((name, (ast.get_docstring(tree) or "").split("\n")[0]))
    return found


if __name__ == "__main__":
    for name, summary in listed():
        print(f"python -m {name} [--quick] [--json FILE]\n    {summary}")
