"""Files that are either wholly there or not at all."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mtp_eval.results.errors import OptionError

MAX_LINKS = 40
"""Symbolic links that are followed one after another, as in Linux."""


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write beside the target, flush to the disk, rename over it: a reader never sees half a file.

    Raises:
        OSError: no space left or no permission; the old file, if any, is untouched.
    """
    write_in_pieces(path, [data])


def write_in_pieces(path: Path, pieces: Iterable[str | bytes]) -> None:
    """As `write_atomically`, from pieces. Texts become UTF-8, lone surrogates their escapes (as JSON has them).

    A device, a pipe or an open file (`--out /dev/null`, /dev/stdout) is written to: root would replace it by a file.
    A symbolic link stays, and what it leads to is replaced.

    Raises:
        OSError: no space left or no permission; the old file, if any, is untouched.
    """
    encoded = (piece.encode("utf-8", "backslashreplace") if isinstance(piece, str) else piece for piece in pieces)
    path = target_of(path)
    if takes_what_comes(path):
        with _opened(path) as file:
            file.writelines(encoded)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.writelines(encoded)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
    sync_folder(path.parent)


def target_of(path: Path) -> Path:
    """The path that symbolic links lead to; those in /proc, which stand for open files, are not followed."""
    for _ in range(MAX_LINKS):
        path = Path(os.path.realpath(path.parent), path.name)
        if _is_open_file(path) or not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    return path  # links in a circle: opening it will say so


def takes_what_comes(target: Path) -> bool:
    """Whether a target is a device, a pipe or an open file, which nothing can be put in the place of."""
    if _is_open_file(target):
        return os.path.lexists(target)
    return target.exists() and not target.is_file() and not target.is_dir()


def _is_open_file(path: Path) -> bool:
    return path.parts[:2] == ("/", "proc")


def _opened(target: Path) -> BinaryIO:
    """What takes what comes, open for writing: an open file of this process at the place where it stands."""
    if target.parent == Path(f"/proc/{os.getpid()}/fd"):
        sys.stdout.flush()
        return open(os.dup(int(target.name)), "wb")
    return open(target, "ab")


def file_name(text: str, most_bytes: int = 80) -> str:
    """The text as one part of a path: what could leave a folder, hide a file or not be written becomes "_".

    Args:
        most_bytes: of the name in UTF-8; file systems take 255.
    """
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", text.encode("utf-8", "replace").decode())
    name = name.encode()[:most_bytes].decode("utf-8", "ignore").strip(" ")
    return f"_{name[1:]}" if name[:1] in (".", "-", "") else name


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_all(descriptor: int, data: bytes) -> None:
    """Write every byte at the end of an open file and flush it to the disk, or leave the file as it was.

    Raises:
        OSError: no space left, or a failing disk.
    """
    size_before = os.fstat(descriptor).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size_before)
        raise


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """A name for each folder: its last part, or as many of its last parts as tell it from the others.

    >>> distinct_names([Path("/a/monday/mbpp"), Path("/a/tuesday/mbpp"), Path("/b/humaneval")])
    ['monday/mbpp', 'tuesday/mbpp', 'humaneval']

    Raises:
        OptionError: a folder is given twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    names = []
    for folder, own in zip(folders, parts, strict=True):
        others = [other for other in parts if other is not own]
        if own in others:
            raise OptionError(f"{folder} is given twice")
        n = next(n for n in range(1, len(own) + 1) if all(other[-n:] != own[-n:] for other in others))
        names.append("/".join(own[-n:]).replace("//", "/"))
    return names


def without_nan(value: Any) -> Any:
    """The same nested value with every NaN and infinity turned into None, so that the JSON is valid JSON."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [without_nan(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def dump_json(value: Any) -> str:
    """Indented JSON with a final newline; the same value always gives the same bytes."""
    return json.dumps(without_nan(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
