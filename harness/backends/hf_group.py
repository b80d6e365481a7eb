"""One `hf:` model shared by the processes that torchrun starts: tensor parallelism through transformers.

    torchrun --nproc-per-node 8 --no-python mtp-eval run --model hf:BIG --task humaneval

Every process holds a part of each weight and of each cache. The first one runs the command and says which forwards are to be done;
the others do them with it until it lets them go. Prompts, sampling, programs and the run's folder are the first one's alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.hf_forward import Forwards
from mtp_eval.harness.backends.hf_load import Loaded, load, pinned
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.devices import choose_device

_LOADING = timedelta(hours=2)
_WAITING = timedelta(days=30)
"""The others wait for orders while the first process executes programs."""


class Group:
    """The processes; rank 0 leads."""

    def __init__(self) -> None:
        if choose_device("auto").type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group("nccl", timeout=_LOADING)
        else:
            dist.init_process_group("gloo", timeout=_LOADING)
        self._orders = dist.new_group(backend="gloo", timeout=_WAITING)
        self.size, self.rank, self._is_led = dist.get_world_size(), dist.get_rank(), True
        self._forwards: list[Forwards] = []

    def open(self, source: str, options: BackendOptions) -> tuple[Loaded, Forwards]:
        """Load a model in all processes; called by the first.

        Raises:
            InputError: it cannot be loaded, or not in parts.
        """
        source = pinned(source)
        self.order(None, "load", source, options)
        loaded = self._load(source, options)
        self._forwards.append(LedForwards(loaded.model, self, len(self._forwards)))
        return loaded, self._forwards[-1]

    def _load(self, source: str, options: BackendOptions) -> Loaded:
        """This process's part, once every process has its own."""
        found, error = None, None
        try:
            found = load(source, options, parts=self.size)
        except InputError as caught:
            error = str(caught)
        errors: list[str | None] = [None] * self.size
        dist.all_gather_object(errors, error, group=self._orders)
        for said in errors:
            if said is not None:
                raise InputError(said)
        assert found is not None
        return found

    def order(self, model: int | None, name: str, *arguments: Any) -> None:
        """Tell the others what comes next; nothing once they are gone, when a batch that was given up is still cleaned away."""
        if self._is_led:
            dist.broadcast_object_list([(model, name, arguments)], src=0, group=self._orders)

    def leave(self, *, is_done: bool) -> None:
        """Let the others go, who may be in the middle of a forward where the first process fails; then torchrun ends them."""
        if is_done:
            self.order(None, "leave")
        self._is_led = False

    def follow(self) -> None:
        """Do what the first process does, until it lets this one go."""
        while True:
            box: list[Any] = [None]
            try:
                dist.broadcast_object_list(box, src=0, group=self._orders)
            except RuntimeError:  # the first process has ended, and has said why
                return
            model, name, arguments = box[0]
            if name == "leave":
                return
            if model is not None:
                getattr(self._forwards[model], name)(*arguments)
                continue
            try:
                self._forwards.append(Forwards(self._load(*arguments).model))
            except InputError:
                continue  # the first process has raised the same, and says it


class LedForwards(Forwards):
    """Forwards that all processes do."""

    def __init__(self, model: Any, group: Group, number: int):
        super().__init__(model)
        self._group, self._number = group, number

    def _order(self, name: str, *arguments: Any) -> None:
        self._group.order(self._number, name, *(each.cpu() if isinstance(each, Tensor) else each for each in arguments))

    def sha256(self) -> str:
        """See `Forwards`."""
        self._order("sha256")
        return super().sha256()

    def finds_cache(self) -> bool:
        """See `Forwards`."""
        self._order("finds_cache")
        return super().finds_cache()

    def step(self, batch: int, tokens_BT: Tensor, mask_BS: Tensor) -> Tensor:
        """See `Forwards`."""
        self._order("step", batch, tokens_BT, mask_BS)
        return super().step(batch, tokens_BT, mask_BS)

    def keep(self, batch: int, rows: Sequence[int]) -> None:
        """See `Forwards`."""
        self._order("keep", batch, list(rows))
        super().keep(batch, rows)

    def end(self, batch: int) -> None:
        """See `Forwards`."""
        self._order("end", batch)
        super().end(batch)

    def at(self, tokens_BT: Tensor, mask_BT: Tensor, where_N2: Tensor) -> Tensor:
        """See `Forwards`."""
        self._order("at", tokens_BT, mask_BT, where_N2)
        return super().at(tokens_BT, mask_BT, where_N2)


_joined: list[Group] = []
"""The group that this process has joined, if any; torch.distributed has one a process too."""


def opened(source: str, options: BackendOptions) -> tuple[Loaded, Forwards, int]:
    """A model with its forwards, and by how many processes it is shared.

    Raises:
        InputError: it cannot be loaded.
    """
    if not _joined:
        loaded = load(source, options)
        return loaded, Forwards(loaded.model), 1
    return *_joined[0].open(source, options), _joined[0].size


def n_processes() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def torchrun_processes() -> Iterator[bool]:
    """Share the `hf:` models that are opened inside; gives False in the processes that only follow, when all is done.

    Without torchrun there is one process, and nothing is shared.
    """
    if n_processes() == 1:
        yield True
        return
    group = Group()
    if group.rank:
        group.follow()
        yield False
    else:
        _joined.append(group)
        is_done = False
        try:
            yield True
            is_done = True
        finally:
            _joined.clear()
            group.leave(is_done=is_done)
    dist.destroy_process_group()
