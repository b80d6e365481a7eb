"""One run of the shards in which several processes or machines made it.

    shard 1/3 ─┐
    shard 2/3 ─┼─ of one run? all there? each done? ── one journal ── metrics.json, table.md
    shard 3/3 ─┘

Nothing is written before everything is known to fit. metrics.json has the bytes that one process would have written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mtp_eval.results.errors import RunError, RunMismatch
from mtp_eval.results.finish import finish
from mtp_eval.results.header import RunHeader, differences
from mtp_eval.results.journal import Keys
from mtp_eval.results.record import Record
from mtp_eval.results.run import Run
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.shard import RunShard
from mtp_eval.results.store import RunStore
from mtp_eval.results.usage import USAGE

RECORDS_AT_ONCE = 1 << 12
OF_A_SHARD = ("created", "command", "git", "device", "versions")
"""What the header of each shard says of how it was made."""


@dataclass(frozen=True)
class Shards:
    """All shards of one run, in their order."""

    stores: tuple[RunStore, ...]

    @property
    def header(self) -> RunHeader:
        """The header of the run that they become."""
        headers = [store.header for store in self.stores]
        data = {key: value for key, value in headers[0].whole().data.items() if key != "command"}
        data["created"] = min(header.created for header in headers)
        data["merged_from"] = [
            {"shard": str(header.shard), **{key: header.data.get(key) for key in OF_A_SHARD}} for header in headers
        ]
        return RunHeader(data)

    def unlike(self) -> list[str]:
        """A sentence for each version or machine in which the shards differ, which can move a completion by its rounding."""
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for store in self.stores:
            facts = {**store.header.versions, "commit": store.header.git.get("commit"), **store.header.device}
            for name, value in facts.items():
                found[name, str(value)].append(str(store.header.shard))
        names = dict.fromkeys(name for name, value in found if len(found[name, value]) < len(self.stores))
        return [
            f"the shards were made with different {name}: "
            + "; ".join(f"{value} ({', '.join(by)})" for (other, value), by in found.items() if other == name)
            for name in names
        ]


def read_shards(folders: Sequence[Path]) -> Shards:
    """The shards in these folders.

    Raises:
        RunError: a folder that holds no shard, or one that is not done; a shard that is there twice, or not at all; or two
            that hold the same completion.
        RunMismatch: they are not of one run.
    """
    stores = sorted((RunStore.read(folder) for folder in folders), key=lambda store: _shard(store))
    _refuse_other_runs(stores)
    _refuse_gaps(stores)
    for store in stores:
        _refuse_unfinished(store)
    _refuse_overlap(stores)
    return Shards(tuple(stores))


def merge(shards: Shards, folder: Path) -> Run:
    """Write the run of all shards into a folder; an interrupted merge is continued.

    Raises:
        RunError: the folder holds something else.
    """
    header = shards.header
    with RunStore.open(folder, header.data) as store:
        there = store.keys()
        for records in _batches(record for shard in shards.stores for record in shard.records()):
            store.append([record for record in records if record.key not in there])
        for name, value in _sidecars(shards).items():
            store.sidecar(name).write(value)
        return finish(store, header.ks, timing={})


def _shard(store: RunStore) -> RunShard:
    shard = store.header.shard
    if shard is None:
        raise RunError(f"{store.folder} is a whole run, not a shard: give the folders that `--shard I/N` made")
    return shard


def _refuse_other_runs(stores: Sequence[RunStore]) -> None:
    first = stores[0]
    for store in stores[1:]:
        lines = differences(first.header.whole(), store.header.whole())
        if _shard(store).of != _shard(first).of:
            lines.append(f"--shard: of {_shard(first).of} there, of {_shard(store).of} now")
        if lines:
            raise RunMismatch(f"{store.folder} is not of the same run as {first.folder}: {'; '.join(lines)}")


def _refuse_gaps(stores: Sequence[RunStore]) -> None:
    by_index: defaultdict[int, list[str]] = defaultdict(list)
    for store in stores:
        by_index[_shard(store).index].append(str(store.folder))
    of = _shard(stores[0]).of
    twice = [f"{index}/{of} ({' and '.join(folders)})" for index, folders in by_index.items() if len(folders) > 1]
    if twice:
        raise RunError(f"given twice: shard {'; '.join(twice)}")
    absent = [f"{index}/{of}" for index in range(1, of + 1) if index not in by_index]
    if absent:
        raise RunError(f"of {of} shards {len(absent)} are missing: {', '.join(absent)}")


def _refuse_unfinished(store: RunStore) -> None:
    run = ScoredRun.of(store)
    lacking = [f"{n:,} completions of {model} on {task}" for (model, task), n in run.missing().items()]
    if run.damage or lacking:
        raise RunError(
            f"shard {_shard(store)} in {store.folder} is not done: it lacks {' and '.join(lacking) or 'lines that can be read'}"
            f"{f' ({run.damage})' if run.damage else ''}; the command that made it goes on"
        )


def _refuse_overlap(stores: Sequence[RunStore]) -> None:
    keys = Keys()
    for store in stores:
        for record in store.records():
            if not keys.add(record.key):
                raise RunError(
                    f"shard {_shard(store)} in {store.folder} holds sample {record.sample} of {record.problem_id} ({record.model} on "
                    f"{record.task}), which another shard holds too: one of them was made by another version; make it again"
                )


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(islice(records, RECORDS_AT_ONCE)):
        yield batch


def _sidecars(shards: Shards) -> dict[str, Any]:
    """timing.json, verification.json, usage.json and decoding.json of all shards, as far as they are there."""
    sessions = [{"shard": str(_shard(store)), **one} for store in shards.stores for one in store.timing()]
    verified = [one for store in shards.stores for one in store.sidecar("verification").read(default=[])]
    chosen: dict[str, Any] = {}
    for store in reversed(shards.stores):
        chosen |= store.sidecar("decoding").read(default={})
    asked = [one for store in shards.stores for one in store.sidecar(USAGE).read(default=[])]
    found = {
        "timing": {"sessions": sessions} if sessions else None,
        "verification": verified,
        "decoding": chosen,
        USAGE: asked,
    }
    return {name: value for name, value in found.items() if value}
