"""List the benchmarks: `python -m benchmarks`."""

from __future__ import annotations

import ast
from pathlib import Path


def listed() -> list[tuple[str, str]]:
    """Every runnable benchmark with the first line of its docstring."""
    root = Path(__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        parts = path.relative_to(root.parent).with_suffix("").parts
        runs = any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)
        if runs and path != Path(__file__):
            name = ".".join(parts).removesuffix(".__main__")
            found.append((name, (ast.get_docstring(tree) or "").split("\n")[0]))
    return found


if __name__ == "__main__":
    for name, summary in listed():
        print(f"python -m {name} [--quick] [--json FILE]\n    {summary}")
