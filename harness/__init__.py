"""The main job, from Python or from the command line: generate completions, execute them, score them.

    from mtp_eval.harness import run

    print(run(model="ckpt", task="mbpp", n_samples=20, k=[1, 10], temperature=0.2).table())

A name is imported when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtp_eval.harness.backends.registry import open_backend
    from mtp_eval.harness.decoding.settings import DecodingSettings
    from mtp_eval.harness.errors import InputError, MtpEvalError
    from mtp_eval.harness.evaluation.compare import CompareConfig, compare
    from mtp_eval.harness.evaluation.config import RunConfig
    from mtp_eval.harness.evaluation.report import ReportConfig, report
    from mtp_eval.harness.evaluation.run import run
    from mtp_eval.harness.evaluation.score import ScoreConfig, score
    from mtp_eval.harness.evaluation.table import TableConfig, table
    from mtp_eval.harness.training.command import train
    from mtp_eval.harness.training.config import TrainConfig

__all__ = [
    "CompareConfig",
    "DecodingSettings",
    "InputError",
    "MtpEvalError",
    "ReportConfig",
    "RunConfig",
    "ScoreConfig",
    "TableConfig",
    "TrainConfig",
    "compare",
    "open_backend",
    "report",
    "run",
    "score",
    "table",
    "train",
]

_HOME = {
    "CompareConfig": "evaluation.compare",
    "DecodingSettings": "decoding.settings",
    "InputError": "errors",
    "MtpEvalError": "errors",
    "ReportConfig": "evaluation.report",
    "RunConfig": "evaluation.config",
    "ScoreConfig": "evaluation.score",
    "TableConfig": "evaluation.table",
    "TrainConfig": "training.config",
    "compare": "evaluation.compare",
    "open_backend": "backends.registry",
    "report": "evaluation.report",
    "run": "evaluation.run",
    "score": "evaluation.score",
    "table": "evaluation.table",
    "train": "training.command",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
