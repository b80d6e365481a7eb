"""The functions for notebooks: exported names exist, importing costs nothing, and the page's snippets run."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
PACKAGES = ("harness", "results", "tasks", "sandbox")
PROMISED = {
    "harness": {
        "run",
        "score",
        "train",
        "compare",
        "CompareConfig",
        "open_backend",
        "report",
        "ReportConfig",
        "RunConfig",
        "ScoreConfig",
        "table",
        "TableConfig",
        "TrainConfig",
    },
    "results": {"Run", "read_run", "load_scores", "load_completions"},
    "tasks": {"Task", "Problem", "load_task"},
    "sandbox": {"Executor", "Pool", "Program", "Outcome", "Verdict"},
}


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_are_there_and_come_from_where_they_are_defined(package: str) -> None:
    module = importlib.import_module(f"mtp_eval.{package}")
    assert PROMISED[package] <= set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__name__ == name
    with pytest.raises(AttributeError, match="nosuch"):
        _ = module.nosuch


def test_importing_the_packages_imports_nothing_heavy() -> None:
    heavy = ("torch", "pandas", "datasets", "scipy", "pydantic", "rich")
    imports = "; ".join(f"import mtp_eval.{package}" for package in PACKAGES)
    code = f"import sys; {imports}; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


@pytest.mark.slow
def test_the_page_s_snippets_run_one_after_the_other(tmp_path: Path, benchmark_data: Path) -> None:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=264, d_model=32, n_layers=3, n_heads=2, d_ff=64, context_length=512, n_future=2)
    save_checkpoint(tmp_path / "ckpt", MTPModel(config), ByteTokenizer(), {})
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(snippets) >= 8
    script = tmp_path / "notebook.py"
    body = "".join(snippets)
    script.write_text(f"{body}\nprint('DONE', result.models, sampled.ks, colder.header.temperature)\n")
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "DONE ['ckpt'] [1, 4] 0.2" in done.stdout.replace("(", "[").replace(",)", "]").replace(")", "]"), done.stdout
    assert "pass@10 needs at least 10" in done.stdout
