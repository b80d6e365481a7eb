"""The package list is complete, imports go one way, and doctests run through the import name."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("harness", "results", "sandbox", "tasks")

GROUND = ("harness.config", "harness.errors", "harness.outputs", "harness.progress", "results.provenance")
"""What every room of harness/ may import."""
THREE = ("results", "sandbox", "tasks")
WORDS = ("tasks.problem", "tasks.errors")
"""The vocabulary: Problem, Request, Completion."""
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "sandbox.jailed": ("sandbox.jailed", "sandbox.wire", "sandbox.linux"),
    "sandbox.wire": ("sandbox.wire",),
    "sandbox.linux": (),
    "sandbox.trusted": (
        "sandbox.trusted", "sandbox.wire", "sandbox.linux", "sandbox.program", "sandbox.outcome", "sandbox.errors",
    ),
    "sandbox": ("sandbox",),
    "tasks": ("tasks", "sandbox.program"),
    "results": ("results", "tasks.problem", "sandbox.outcome"),
    "harness.models": ("harness.models", *GROUND, *WORDS),
    "harness.decoding": ("harness.decoding", "harness.models", *GROUND, *WORDS),
    "harness.backends": ("harness.backends", "harness.decoding", "harness.models", "tasks.reading", *GROUND, *WORDS),
    "harness.cluster": ("harness.cluster", "harness.backends", "sandbox", *GROUND, *WORDS),
    "harness.training": ("harness.training", "harness.models", "tasks.registry", *GROUND, *WORDS),
    "harness.evaluation": ("harness.evaluation", "harness.backends", "harness.cluster", *GROUND, *THREE),
    "harness.nightly": ("harness.nightly", "harness.evaluation", "harness.backends", "harness.training", *GROUND, *THREE),
    "harness.studies": (
        "harness.studies", "harness.evaluation", "harness.training", "harness.cluster", *GROUND, *THREE,
    ),
    "harness": ("harness", *THREE),
}  # fmt: skip
"""Who may import what; the longest row that fits a module's name counts."""


def source_files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of_ours(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imported_names(path):
        if name.startswith("mtp_eval."):
            yield line, name.removeprefix("mtp_eval.")


def test_every_folder_with_python_files_is_packaged() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {"mtp_eval." + module_name(path.parent) for path in source_files()}
    assert listed == found, "pyproject.toml's packages and the folders differ; an unlisted one vanishes from wheels"


def test_tests_mirror_the_folders() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")} - {Path(".")}
    strange = [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
    assert not strange, "tests lie in a folder of the same name as what they test"


def row_of(name: str) -> str:
    """The row of `MAY_IMPORT` that a module falls under."""
    return max((row for row in MAY_IMPORT if name == row or name.startswith(row + ".")), key=len)


def test_data_flows_one_way() -> None:
    broken = []
    for path in source_files():
        row = row_of(module_name(path))
        for line, imported in imports_of_ours(path):
            if not any(imported == allowed or imported.startswith(allowed + ".") for allowed in MAY_IMPORT[row]):
                broken.append(f"{path.relative_to(ROOT)}:{line}: {row} may not import {imported}")
    assert not broken, "\n".join(broken)


ONLY_BEHIND = {"harness.decoding.kernels": "harness.decoding.network"}
"""Rooms that one module alone may use: private and fused operations, which a release of torch can break."""


@pytest.mark.parametrize(("room", "door"), ONLY_BEHIND.items())
def test_private_operations_stay_behind_one_module(room: str, door: str) -> None:
    users = {importer for importer, imported in arrows() if imported.startswith(room)}
    assert {user for user in users if not user.startswith(room)} == {door}


def test_what_shares_a_process_with_hostile_code_imports_the_standard_library_and_its_own_side_only() -> None:
    own = tuple(f"mtp_eval.{name}" for name in MAY_IMPORT["sandbox.jailed"])
    inside = [*(ROOT / "sandbox/jailed").glob("*.py"), *(ROOT / "sandbox/wire").glob("*.py"), ROOT / "sandbox/linux.py"]
    assert len(inside) > 10
    others = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in inside
        for line, name in imported_names(path)
        if not name.startswith(own) and name.partition(".")[0] not in {*sys.stdlib_module_names, "__future__"}
    ]
    assert others == []


@functools.cache
def imported_names(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and full name of everything that a file imports."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            found += [(node.lineno, module + alias.name) for alias in node.names]
    return tuple(found)


@functools.cache
def arrows() -> set[tuple[str, str]]:
    """Who imports whom, module by module; imports inside functions and for type checkers count too."""
    modules = {module_name(path) for path in source_files()}
    found = set()
    for path in source_files():
        for _, imported in imports_of_ours(path):
            target = imported if imported in modules else imported.rpartition(".")[0]
            if target in modules and target != module_name(path):
                found.add((module_name(path), target))
    return found


def room_of(name: str) -> str:
    """A folder below the top folder, or a file that lies in it: "harness.models.size" is in "harness.models"."""
    return ".".join(name.split(".")[:2])


def room_arrows(folder: str) -> set[tuple[str, str]]:
    """Imports between the rooms of one top folder."""
    pairs = {(room_of(a), room_of(b)) for a, b in arrows()}
    return {(a, b) for a, b in pairs if a != b and a.startswith(folder + ".") and b.startswith(folder + ".")}


def circles(pairs: set[tuple[str, str]]) -> list[list[str]]:
    """The groups of names that import one another, each sorted."""
    after: dict[str, set[str]] = {}
    for a, b in pairs:
        after.setdefault(a, set()).add(b)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in after.get(waiting.pop(), set()) - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    reach = {name: reached(name) for name in after}
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, set())) for a in reach if a in reach[a]}
    return sorted(sorted(group) for group in groups)


def test_no_two_modules_import_one_another() -> None:
    assert circles(arrows()) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_two_rooms_import_one_another(folder: str) -> None:
    assert circles(room_arrows(folder)) == []


def test_the_rooms_of_the_harness_stay_few_arrows_apart() -> None:
    """Under five a room: `studies` brought seven, its ground and the three rooms whose work it orders; `cluster` three."""
    assert len(room_arrows("harness")) <= 45, sorted(room_arrows("harness"))


def test_circles_are_found() -> None:
    assert circles({("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")}) == [["b", "c"]]


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


def private_names(path: Path) -> Iterator[str]:
    """Underscored names of other modules that a file uses: imported, or as an attribute of anything but self and cls."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names if node.module != "__future__"]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "os"):
            names = [node.attr]
        else:
            continue
        yield from (f"{path.name}:{node.lineno}: {name}" for name in names if re.match(r"_(?!_)", name))


def test_tests_and_benchmarks_use_public_names_only() -> None:
    files = [file for folder in ("tests", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))]
    assert [found for file in files for found in private_names(file)] == []
