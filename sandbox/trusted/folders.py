"""Folders under the host's temporary folder that live as long as a process, also if that is killed and cannot remove its own.

A jail needs some in isolation "process" only: in full isolation its folders are in its own mount, which goes with it. A worker
has one to stand in: files that trusted tests write by relative names must reach neither the user's folder nor later tests.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

PREFIX = "mtp-eval-jail-"


class LockedFolder:
    """A new folder, locked for as long as this process lives.

    Raises:
        OSError: there is no temporary folder that can be written.
    """

    def __init__(self) -> None:
        remove_left()
        while True:
            self.root = tempfile.mkdtemp(prefix=PREFIX)
            self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.path.isdir(self.root):  # nobody took it for left between the two calls
                break
            os.close(self._lock)

    def remove(self) -> None:
        """Remove it, and what killed processes left; may be called twice."""
        if self._lock >= 0:
            _remove(self.root)
            os.close(self._lock)
            self._lock = -1
        remove_left()


class JailFolders(LockedFolder):
    """Two folders in a locked one: `scratch` is the program's, `packages` holds links to what it may import."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch, self.packages = (os.path.join(self.root, name) for name in ("scratch", "packages"))
        os.mkdir(self.scratch, 0o700)
        os.mkdir(self.packages, 0o700)


class WorkingFolder(LockedFolder):
    """An empty folder as the working folder of this process, which goes on to find its modules where it did."""

    def __init__(self) -> None:
        super().__init__()
        sys.path[:] = map(os.path.abspath, sys.path)
        os.chdir(self.root)

    def empty(self) -> None:
        """Be the working folder again, with nothing in it, whatever was done to it."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.root, 0o700)
        os.chdir(self.root)
        for name in os.listdir():
            if os.path.isdir(name) and not os.path.islink(name):
                _remove(name)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(name)


def remove_left() -> None:
    """Remove the folders of jails that have ended: those of this user that nobody holds locked."""
    for path in _of_this_user():
        with contextlib.suppress(OSError):
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(folder)


def _of_this_user() -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith(PREFIX) and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    yield entry.path


def _remove(path: str) -> None:
    with contextlib.suppress(
        RecursionError
    ):  # a program's tree of more levels than Python's stack has; the rest is gone
        shutil.rmtree(path, ignore_errors=True)
