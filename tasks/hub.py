"""Rows of data sets through `datasets`, which reads its cache where the hub is not to be used (HF_HUB_OFFLINE=1)."""

from __future__ import annotations

from typing import Any

from mtp_eval.tasks.catalogue import Source
from mtp_eval.tasks.errors import HubError

OFFLINE_HINT = "where there is no network, HF_HUB_OFFLINE=1 answers at once, from the cache alone"


def hub_rows(source: Source) -> list[dict[str, Any]]:
    """The rows of a data set, one split after the other, in the order of their task_id where they have one.

    Raises:
        HubError: `datasets` cannot get them; with the cause.
    """
    try:
        from datasets import load_dataset

        rows = [
            dict(row) for split in source.hub_splits for row in load_dataset(source.hub, source.hub_config, split=split)
        ]
    except Exception as error:  # whatever the hub's client raises, the answer is the same
        said = " ".join(str(error).split())[:200]
        raise HubError(
            f"`datasets` could not load {source.hub} ({type(error).__name__}: {said}; {OFFLINE_HINT})"
        ) from error
    return sorted(rows, key=lambda row: int(row.get("task_id", 0)))
