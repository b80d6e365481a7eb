"""The package list is complete, imports go one way, and doctests run through the import name."""

from __future__ import annotations

import ast
import doctest
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("harness", "results", "sandbox", "tasks")
BELOW_HARNESS = ("harness.models", "harness.decoding", "harness.training")

MAY_IMPORT = {
    "tasks": ("tasks",),
    "sandbox": ("sandbox",),
    "results": ("results", "tasks.problem", "sandbox.outcome"),
    "harness.models": ("harness.models", "harness.errors", "tasks.problem"),
    "harness.decoding": ("harness.decoding", "harness.models", "harness.errors", "tasks.problem"),
    "harness.training": ("harness.training", "harness.models", "harness.errors", "tasks.problem"),
    "harness": ("harness", "results", "sandbox", "tasks"),
}


def source_files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of_ours(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("mtp_eval."):
                yield node.lineno, name.removeprefix("mtp_eval.")


def test_every_folder_with_python_files_is_packaged() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {"mtp_eval." + module_name(path.parent) for path in source_files()}
    assert listed == found, "pyproject.toml's packages and the folders differ; an unlisted one vanishes from wheels"


def test_data_flows_one_way() -> None:
    broken = []
    for path in source_files():
        name = module_name(path)
        rule = next((row for row in BELOW_HARNESS if name == row or name.startswith(row + ".")), name.split(".")[0])
        for line, imported in imports_of_ours(path):
            if not any(imported == allowed or imported.startswith(allowed + ".") for allowed in MAY_IMPORT[rule]):
                broken.append(f"{path.relative_to(ROOT)}:{line}: {rule} may not import {imported}")
    assert not broken, "\n".join(broken)


def test_the_rule_notices_a_breach(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("from mtp_eval.results.table import x\n")
    assert list(imports_of_ours(file)) == [(1, "results.table.x")]


def test_imports_are_absolute() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


@pytest.mark.parametrize("path", [p for p in source_files() if ">>> " in p.read_text("utf-8")], ids=module_name)
def test_doctests(path: Path) -> None:
    assert doctest.testmod(importlib.import_module("mtp_eval." + module_name(path))).failed == 0
