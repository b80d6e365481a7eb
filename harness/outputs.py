"""Output files: paths are tried before work starts, so that nothing computed is lost; a file is there as a whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from mtp_eval.harness.errors import InputError
from mtp_eval.results.files import takes_what_comes, target_of, write_in_pieces


def try_file(path: Path | None, option: str, inputs: Sequence[Path | None] = ()) -> None:
    """See whether a file can be written there, without writing it; None was not asked for.

    Args:
        inputs: what the command reads.

    Raises:
        InputError: it is a folder, one of the inputs or a part of a run, or there is no place where it could be made.
    """
    if path is None:
        return
    if any(one is not None and one.exists() and path.exists() and path.samefile(one) for one in inputs):
        raise InputError(f"{option} {path} is what this command reads, and would be lost; name another file")
    target = target_of(path)
    if takes_what_comes(target):
        return
    if target.is_file() and _is_part_of_run(target):
        raise InputError(
            f"{option} {path} is a part of the run in {target.parent}, and would be lost; name another file"
        )
    if target.is_dir():
        raise InputError(f"{option} {path} is a folder; name a file in it, such as {path / 'out'}")
    try_place(target.parent, option, path)


def _is_part_of_run(path: Path) -> bool:
    """Whether a run folder cannot be read any more without this file."""
    from mtp_eval.results.columns import COLUMNS_FILE
    from mtp_eval.results.header import RUN_FILE
    from mtp_eval.results.journal import JOURNAL_FILE

    return path.name in (RUN_FILE, JOURNAL_FILE, COLUMNS_FILE) and (path.parent / RUN_FILE).is_file()


def try_folder(path: Path | None, option: str) -> None:
    """See whether files can be written below this folder, which need not exist yet; None was not asked for.

    Raises:
        InputError: it is a file, or there is no place where it could be made.
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise InputError(f"{option} {path} is a file; name a folder, which may be a new one")
    try_place(path, option, path)


def try_place(folder: Path, option: str, wanted: Path) -> None:
    """Make a file and remove it again in the folder, or in the nearest one above it that exists.

    Raises:
        InputError: the file cannot be written there.
    """
    try:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".mtp-eval-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{option} {wanted} cannot be written ({reason}); name another place") from None


def write_file(path: Path, pieces: Iterable[str]) -> None:
    """Write the file and the folders above it; what stood there before stays until the last piece is written.

    Raises:
        OSError: no space left or no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_in_pieces(path, pieces)
