"""Parts that every study has: the options --quick and --json, and the file that --json names."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def study_parser(doc: str | None, quick: str = "little work: shows that the study runs") -> argparse.ArgumentParser:
    """A parser with a study's docstring as its help, and the two options of `python -m benchmarks`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    return parser


def save(path: Path | None, figures: Any) -> None:
    """Write a study's figures where `--json` asked for them."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
