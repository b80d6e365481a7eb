"""For `make docs`: the README and its neighbours as pages of the site, with their links turned to where things are there."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file of `PAGES`."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=as_page((ROOT / name).read_text("utf-8"))))
    return files


def as_page(text: str) -> str:
    """Links to docs/ lose the folder, links to `PAGES` get their new names, links to source files become plain names."""
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", text)
    for name, page in PAGES.items():
        text = text.replace(f"]({name})", f"]({page})")
    text = re.sub(r"\[([^\]]+)\]\((?:\w+/)+\w+\.py\)", r"`\1`", text)
    return text.replace("<details>", '<details markdown="1">')
