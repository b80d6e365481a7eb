"""Versions of EvalPlus's files: which problems each has, and where it is found.

MBPP+ 0.1.0 has 399 problems; 0.2.0 is those without 21 that EvalPlus withdrew as ill-formed, and without links in 19 prompts
(its tools/mbpp/fix_v010.py and fix_v011.py). Both are judged by the oracles of EvalPlus 0.3.1.
"""

from __future__ import annotations

from pathlib import Path

from mtp_eval.tasks.errors import DataError, TaskOptionError
from mtp_eval.tasks.sources import Loaded, find_file, how_to_get, load_file, read_checked

FILES = {"humaneval-plus": "HumanEvalPlus.jsonl.gz", "mbpp-plus": "MbppPlus.jsonl.gz"}
"""The latest version of each."""
OLD = "0.1.0"
OLD_FILE = "MbppPlus-v0.1.0.jsonl.gz"
OLD_NAMES = (OLD_FILE, "MbppPlus-v0.1.0.jsonl")
"""The second is what EvalPlus's cache holds."""
WITHDRAWN = (
    83, 115, 117, 143, 164, 229, 249, 295, 396, 400, 407, 431, 438, 442, 461, 574, 582, 595, 640, 746, 783,
)  # fmt: skip
N_OLD, N_LATEST = 399, 378
FIELDS = {
    "task_id": str,
    "prompt": str,
    "entry_point": str,
    "canonical_solution": str,
    "base_input": list,
    "plus_input": list | dict,  # {} where there are none
    "atol": int | float,
}
"""What is read of a row."""
ASK_OLD = f"--task mbpp-plus@evalplus+{OLD}"


def load_version(name: str, version: str | None, data_dir: Path | None) -> Loaded:
    """The rows of a version; None is the latest.

    Raises:
        TaskOptionError: the task has no such version.
        DataError: its file is not there, or is another version.
    """
    if version is None:
        return _latest(name, data_dir)
    if (name, version) != ("mbpp-plus", OLD):
        others = f", and {ASK_OLD}" if name == "mbpp-plus" else ""
        raise TaskOptionError(
            f"{name} has no version {version!r}: there is the latest, without a version behind the protocol{others}"
        )
    path = next((found for one in OLD_NAMES if (found := find_file(one, data_dir))), None)
    path = path or find_file(FILES[name], data_dir)
    if path is None:
        raise DataError(f"{OLD_FILE} not found. {how_to_get(OLD_FILE)}")
    loaded = read_checked(path, expected="")
    complaint = why_not_old(loaded)
    if complaint:
        raise DataError(f"{path} is not MBPP+ {OLD}: {complaint}. {how_to_get(OLD_FILE)}")
    return loaded


def _latest(name: str, data_dir: Path | None) -> Loaded:
    try:
        return load_file(FILES[name], data_dir)
    except DataError as error:
        path = find_file(FILES[name], data_dir)
        if name == "mbpp-plus" and path is not None and not _old_complaint_at(path):
            raise DataError(
                f"{path} is MBPP+ {OLD}, with {N_OLD} problems: ask for it with {ASK_OLD}, or download 0.2.0"
            ) from error
        raise


def _old_complaint_at(path: Path) -> str:
    try:
        return why_not_old(read_checked(path, expected=""))
    except DataError as error:
        return str(error)


def why_not_old(loaded: Loaded) -> str:
    """How rows differ from those of MBPP+ 0.1.0, whose checksum is not known here; empty where they do not."""
    for number, row in enumerate(loaded.rows, start=1):
        wrong = [field for field, kind in FIELDS.items() if not isinstance(row.get(field), kind)]
        if wrong:
            return f"row {number} has no {', '.join(wrong)} of the right kind"
    ids = [row["task_id"] for row in loaded.rows]
    if len(set(ids)) < len(ids) or len(ids) != N_OLD:
        return f"expected {N_OLD} problems, each once, got {len(ids)} rows with {len(set(ids))} names"
    lacks = [number for number in WITHDRAWN if f"Mbpp/{number}" not in ids]
    return f"it lacks Mbpp/{lacks[0]}, which 0.2.0 lacks too" if lacks else ""


def elsewhere(name: str, version: str | None, number: str) -> str:
    """The version that has a problem which this one has not.

    Args:
        number: the problem's, as digits.
    """
    if name != "mbpp-plus":
        return ""
    if version is None and number.isdecimal() and int(number) in WITHDRAWN:
        return (
            f"this is MBPP+ 0.2.0, with {N_LATEST} problems; Mbpp/{number} is one of the 21 that only {OLD} has, which EvalPlus withdrew "
            f"as ill-formed: leave its samples out, or score against {OLD} with {ASK_OLD}"
        )
    here = f"0.2.0, with {N_LATEST} problems" if version is None else f"{OLD}, with {N_OLD} problems"
    return f"this is MBPP+ {here}, and neither 0.1.0 nor 0.2.0 has this one: is it of MBPP (--task mbpp)?"
