"""One call of `mtp-eval nightly`, from the config file to the exit code: whatever happens, the outputs say it."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.nightly.config import NightlyConfig, newest, read_nightly
from mtp_eval.harness.nightly.night import check_night, evaluate_night
from mtp_eval.harness.nightly.output import decide, notify, write_failure, write_outputs
from mtp_eval.harness.nightly.summary import summary
from mtp_eval.harness.outputs import try_folder
from mtp_eval.results.errors import RegressionFound, ResultsError
from mtp_eval.sandbox.errors import IsolationUnavailable
from mtp_eval.tasks.errors import TaskError

CODES: tuple[tuple[type[BaseException], int], ...] = (
    (RegressionFound, 3),
    (IsolationUnavailable, 4),
    (KeyboardInterrupt, 130),
    (InputError, 2),
    (TaskError, 2),
    (ResultsError, 2),
)
"""The exit codes as a notified command is told them; the first class that fits counts."""
INTERRUPTED = "The night was interrupted; the same command continues it."
STARTED = "The night was started and has not come to its end. If nothing is running, it was killed: the same command continues it."


def nightly_call(path: Path, name: str | None = None, accept: bool = False, notify_command: str | None = None) -> None:
    """Evaluate, compare, write, print the summary and notify.

    Raises:
        RegressionFound: a score dropped significantly (exit code 3).
        MtpEvalError: something could not be evaluated or compared (1), the config is wrong (2: InputError).
    """
    command, out, text, status = notify_command, out_of(path), "", 1
    try:
        config = read_nightly(path)
        command, out = command or config.notify, config.out
        try_folder(out, "out")
        if name is not None and (not name.strip(".") or Path(name).name != name):
            raise InputError(f"--night {name}: expected a name that a folder can have, without a slash")
        out.mkdir(parents=True, exist_ok=True)
        write_failure(out, STARTED)
        night = evaluate_night(config, name, accept)
        text = summary(config, night, accept)
        write_outputs(config, night, text)
        with contextlib.suppress(OSError):  # a closed pipe is no reason to be green or red
            print(text, end="", flush=True)
        decide(config, night, accept)
        status = 0
    except BaseException as error:
        status = next((code for kind, code in CODES if isinstance(error, kind)), 1)
        if not text:
            text = INTERRUPTED if isinstance(error, KeyboardInterrupt) else f"{error}" or type(error).__name__
            with contextlib.suppress(OSError):
                write_failure(out, text)
        raise
    finally:
        notify(command, text, status)


def out_of(path: Path) -> Path:
    """Where the outputs of a config lie that may be wrong otherwise."""
    try:
        return Path(str(tomllib.loads(path.read_text("utf-8")).get("out", "nightly")))
    except (OSError, ValueError):
        return Path("nightly")


def dry_run(path: Path) -> None:
    """Print what would be evaluated.

    Raises:
        InputError, TaskError, ResultsError: what a night would find wrong before its work.
    """
    config: NightlyConfig = read_nightly(path)
    try_folder(config.out, "out")
    check_night(config)
    for step in config.train:
        print(f"train {step.preset} into {step.out}")
    for series, spec in config.models.items():
        print(f"evaluate {series} = {newest(spec)} on {', '.join(config.task)}, against {', '.join(config.baseline)}")
