"""One call of `mtp-eval nightly`, from the config file to the exit code: whatever happens, the outputs say it.

What is large is imported inside, so that outputs say it too where an import fails (a full /tmp, a broken installation).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.nightly.latest import (
    AnotherNight,
    leave_failure,
    notify,
    out_of,
    this_night,
    try_outputs,
    write_failure,
)
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
        from mtp_eval.harness.nightly.config import read_nightly
        from mtp_eval.harness.nightly.night import evaluate_night
        from mtp_eval.harness.nightly.output import decide, write_outputs
        from mtp_eval.harness.nightly.summary import summary

        config = read_nightly(path)
        command, out = command or config.notify, config.out
        try_outputs(out)
        if name is not None and (not name.strip(".") or Path(name).name != name):
            raise InputError(f"--night {name}: expected a name that a folder can have, without a slash")
        with this_night(out):
            write_failure(out, STARTED)
            night = evaluate_night(config, name, accept)
            made = summary(config, night, accept)
            write_outputs(config, night, made)
            text = made  # from here on the outputs are whole, and stay as they are
            with contextlib.suppress(OSError):  # a closed pipe is no reason to be green or red
                print(text, end="", flush=True)
            decide(config, night, accept)
        status = 0
    except BaseException as error:
        status = next((code for kind, code in CODES if isinstance(error, kind)), 1)
        if not text:
            text = INTERRUPTED if isinstance(error, KeyboardInterrupt) else f"{error}" or type(error).__name__
            with contextlib.suppress(OSError, AnotherNight):
                leave_failure(out, text)
        raise
    finally:
        notify(command, text, status)


def dry_run(path: Path) -> None:
    """Print what would be evaluated.

    Raises:
        InputError, TaskError, ResultsError: what a night would find wrong before its work.
    """
    from mtp_eval.harness.nightly.config import newest, read_nightly
    from mtp_eval.harness.nightly.night import check_night

    config = read_nightly(path)
    try_outputs(config.out)
    check_night(config)
    for step in config.train:
        print(f"train {step.preset} into {step.out}")
    for series, spec in config.models.items():
        print(f"evaluate {series} = {newest(spec)} on {', '.join(config.task)}, against {', '.join(config.baseline)}")
