"""The latest outputs, which stand in a night's `out` folder itself; a call that fails replaces them by its reason.

Imports nothing large, so that they can be replaced when an import is what fails.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
from pathlib import Path

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.outputs import try_folder
from mtp_eval.harness.progress import say
from mtp_eval.results.files import write_atomically
from mtp_eval.results.junit import Case, junit_xml
from mtp_eval.results.lock import only_one

FILES = ("report.html", "comparison.json", "trends.svg", "trends.png", "junit.xml", "summary.md")
"""The latest of each stands in `out`; those that say whether all is well are written last."""
NOTIFY_SECONDS = 120.0


class AnotherNight(InputError):  # noqa: N818 - it says what is there, as RunLocked does
    """Another process writes this folder: its files are not ours to replace."""


def this_night(out: Path) -> contextlib.AbstractContextManager[None]:
    """Keep the folder to this process, from the first word in it to the last.

    Raises:
        AnotherNight: another process has it.
    """
    return only_one(
        out,
        lambda holder: AnotherNight(
            f"another nightly{holder} is writing {out}; wait for it, or give this one another `out`"
        ),
    )


def try_outputs(out: Path) -> None:
    """See before work starts that the outputs can be written.

    Raises:
        InputError: they cannot.
    """
    try_folder(out, "out")
    for name in FILES:
        if (out / name).is_dir():
            raise InputError(f"{out / name} is a folder, where a night writes a file: move it away")


def leave_failure(out: Path, why: str) -> None:
    """Say in the outputs what went wrong, where there is a folder for them.

    Raises:
        AnotherNight: they belong to a night that is under way.
    """
    if out.is_dir():
        with this_night(out):
            write_failure(out, why)


def out_of(path: Path) -> Path:
    """The `out` folder of a config that may be wrong otherwise."""
    try:
        return Path(str(tomllib.loads(path.read_text("utf-8")).get("out", "nightly")))
    except (OSError, ValueError):
        return Path("nightly")


def write_failure(out: Path, why: str) -> None:
    """Replace what earlier nights left by a summary and a JUnit file that say what went wrong.

    Where one cannot be written (a full disk), the old one is removed: nothing may be left that says that all is well.

    Raises:
        OSError: some could not be written or removed.
    """
    said = {
        "junit.xml": junit_xml([Case("nightly", "the night", "error", why)]),
        "summary.md": f"## ❌ the night could not be finished\n\n{why}\n",
    }
    failed: OSError | None = None
    for name in FILES:
        try:
            if name in said:
                write_atomically(out / name, said[name])
            else:
                (out / name).unlink(missing_ok=True)
        except OSError as error:
            failed = error
            with contextlib.suppress(OSError):
                (out / name).unlink(missing_ok=True)
    if failed is not None:
        raise failed


def notify(command: str | None, text: str, status: int) -> None:
    """Give the summary to a command on its standard input, and the exit code as MTP_EVAL_EXIT_CODE."""
    if command is None:
        return
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", f"MTP_EVAL_EXIT_CODE={status}; export MTP_EVAL_EXIT_CODE; {command}"],
            input=text.encode("utf-8", "replace"),
            timeout=NOTIFY_SECONDS,
            check=False,
            stdout=sys.stderr.fileno() if sys.stderr and sys.stderr.isatty() else subprocess.DEVNULL,
        )
        if done.returncode:
            say(f"--notify: the command ended with exit code {done.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"--notify: {error}")
