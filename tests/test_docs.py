"""What the pages say exists, exists: links, folders, commands and options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mtp_eval.harness.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGE_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not broken


def test_the_readme_tree_is_the_tree() -> None:
    block = re.search(r"## Where things are\n\n```\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert block
    parent, listed = "", set()
    for line in block.group(1).splitlines():
        name = line.split()[0].rstrip("/")
        parent = parent if line.startswith("  ") else name
        listed.add(f"{parent}/{name}" if line.startswith("  ") else name)
    missing = {name for name in listed if not (ROOT / name).is_dir()}
    assert not missing
    harness = {f"harness/{path.parent.name}" for path in (ROOT / "harness").glob("*/__init__.py")}
    assert harness <= listed


def commands_in(page: Path) -> list[list[str]]:
    """`mtp-eval ...` lines of the page's shell blocks and inline code, up to a pipe or a comment."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"```(?:sh|bash|console|yaml)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(mtp-eval [^`]+)`", text)
    found = []
    for line in lines:
        match = re.search(r"(?:^|[/\s])mtp-eval\s+(\S.*)", line)
        if match:
            words = shlex.split(re.split(r"\s[|#&>]|;", match.group(1))[0].replace("...", ""), posix=True)
            found.append(words)
    return found


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_documented_commands_and_options_exist(page: Path) -> None:
    unknown = []
    for words in commands_in(page):
        if words[0].startswith(("-", "[")):
            continue
        command: Any = get_command(app)
        rest = list(words)
        while rest and hasattr(command, "commands") and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        if command is get_command(app):
            unknown.append(f"no command: mtp-eval {' '.join(words)}")
            continue
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        unknown += [
            f"no option {word} of mtp-eval {' '.join(words)}"
            for word in (w.split("=")[0] for w in rest)
            if word.startswith("--") and word not in options
        ]
    assert not unknown, "\n".join(unknown)
