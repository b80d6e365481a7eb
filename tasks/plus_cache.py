"""Expected outputs of HumanEval+ and MBPP+ on disk, so that they are computed once a machine.

An entry carries the SHA-256 of its outputs, and is read only if that and the number of outputs are right: a file that
was cut short or changed is computed anew. It appears by renaming, so that runs side by side never see half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "MTP_EVAL_CACHE"


def cache_folder() -> Path:
    """MTP_EVAL_CACHE, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtp-eval"


def read_entry(file: Path, counts: Mapping[str, int]) -> dict[str, Any] | None:
    """A cache entry that is whole and has as many outputs in each group as `counts` says; None for anything else."""
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        text, seconds = entry["outputs"], float(entry["seconds"])
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            return None
        outputs = json.loads(text)
        if {group: len(found) for group, found in outputs.items()} != counts:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {**outputs, "seconds": seconds}


def write_entry(file: Path, expected: Mapping[str, Any]) -> None:
    """Write a cache entry by renaming; a cache that cannot be written only costs time."""
    text = json.dumps({group: found for group, found in expected.items() if group != "seconds"})
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    entry = json.dumps({"sha256": sha256, "seconds": expected["seconds"], "outputs": text})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            (Path(folder) / file.name).write_text(entry, encoding="utf-8")
            os.replace(Path(folder) / file.name, file)
    except OSError:
        return
