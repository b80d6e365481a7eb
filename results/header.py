"""The header of a run, `run.json`, as typed attributes: options, models, tasks, and where the run was made.

Backends and tasks describe themselves freely and old folders lack what newer ones have; whatever is not there is None, an
empty text or an empty collection, never a guess and never an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtp_eval.results.errors import RunError, RunMismatch
from mtp_eval.results.files import dump_json
from mtp_eval.results.record import SCHEMA_VERSION
from mtp_eval.results.shard import RunShard

RUN_FILE = "run.json"
NOT_IDENTITY = ("k",)
"""Options that are computed from the records, whatever they were when the run was started."""

MODEL_FACTS: Mapping[str, tuple[str, ...]] = {
    "n_future": ("n_future",),
    "parameters": ("parameters", "n_parameters"),
    "seed": ("training.seed", "seed"),
    "step": ("training.step", "step"),
    "train_seconds": ("training.seconds", "seconds"),
    "train_tokens": ("training.tokens", "tokens"),
    "data": ("training.data.fingerprint", "training.data.name", "data.fingerprint"),
}
"""The facts that tables ask for, and the names under which backends and checkpoints give them."""


GIVEN = "given"
"""The protocol of completions from a file that does not say what the model was asked."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Facts that a run states about one of its tasks; `votes` is whether its answers are texts of which the most frequent wins."""

    name: str
    protocol: str | None = None
    data_sha256: str | None = None
    n_problems: int = 0
    report_by: str | None = None
    votes: bool = False
    judged_as: str | None = None
    """The protocol by which texts were judged, where it is not the one that the model was asked under."""
    n_in_benchmark: int | None = None
    """Problems of the whole benchmark, where it is known."""

    @property
    def is_given(self) -> bool:
        """Whether it is not known what the model was asked: its completions came from a file that does not say."""
        return str(self.protocol).partition("@")[2].partition("+")[0] == GIVEN

    @property
    def loaded_as(self) -> str:
        """The name that loads the task as it was judged."""
        return self.judged_as or self.protocol or self.name


@dataclass(frozen=True)
class RunHeader:
    """A run's `run.json`; `data` is its content as it was written.

    >>> header = RunHeader({"config": {"k": [1, 10], "temperature": 0.8}, "models": {"n4": {"n_future": 4}}})
    >>> header.ks, header.temperatures, header.fact("n4", "n_future"), header.task("mbpp").protocol
    ((1, 10), (0.8,), 4, None)
    """

    data: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """The options that decide results."""
        return _mapping(self.data.get("config"))

    @property
    def config_sha256(self) -> str:
        """The hash of the options and of the identity of models and tasks; empty where it is not known."""
        return str(self.data.get("config_sha256") or "")

    @property
    def created(self) -> str:
        """When the run was started, in UTC."""
        return str(self.data.get("created") or "")

    @property
    def models(self) -> tuple[str, ...]:
        """Labels of the models, in the order in which they were asked for."""
        return tuple(_mapping(self.data.get("models")))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order in which they were asked for."""
        return tuple(_mapping(self.data.get("tasks")))

    def model(self, label: str) -> Mapping[str, Any]:
        """Everything that the backend said about a model."""
        return _mapping(_mapping(self.data.get("models")).get(label))

    def task(self, name: str) -> TaskFacts:
        """The facts of a task."""
        facts = _mapping(_mapping(self.data.get("tasks")).get(name))
        return TaskFacts(
            name=name,
            protocol=facts.get("protocol"),
            data_sha256=facts.get("data_sha256"),
            n_problems=int(facts.get("n_problems") or 0),
            report_by=facts.get("report_by"),
            votes=facts.get("kind") == "exact_match" or bool(facts.get("votes")),
            judged_as=facts.get("judged_as"),
            n_in_benchmark=facts.get("n_in_benchmark"),
        )

    def fact(self, label: str, name: str) -> Any:
        """A fact of `MODEL_FACTS` about a model, or None.

        It is looked for under each of its known names, at the top level first and then inside `training` and `config`.
        """
        facts = flat(self.model(label))
        for known in MODEL_FACTS[name]:
            if known in facts:
                return facts[known]
            nested = [key for key in facts if key.endswith(f".{known}")]
            if nested:
                return facts[min(nested, key=lambda key: (key.count("."), key))]
        return None

    @property
    def ks(self) -> tuple[int, ...]:
        """The k of pass@k that the run was made for."""
        given = self.config.get("k", (1,))
        return tuple(int(k) for k in (given if isinstance(given, (list, tuple)) else (given,)))

    @property
    def n_samples(self) -> int | None:
        """Samples of each problem at each temperature, where the run was asked for a number."""
        wanted = self.config.get("n_samples")
        return wanted if isinstance(wanted, int) else None

    def n_completions(self, model: str, task: str) -> int:
        """How many completions of a model for a task the run asked for; where a file gave them and its run does not say
        how many it held, one for each problem, which is the least.
        """
        if self.shard is not None:
            return int(_mapping(_mapping(self.data["shard"].get("n_completions")).get(model)).get(task, 0))
        given = self.model(model).get("n_completions")
        if isinstance(given, Mapping):
            return int(given.get(task, 0))
        return self.task(task).n_problems * (self.n_samples or 1) * max(1, len(self.temperatures))

    @property
    def shard(self) -> RunShard | None:
        """The part of a run that this is, where several processes made it; None is a whole run."""
        entry = _mapping(self.data.get("shard"))
        return RunShard.of_header(entry) if entry else None

    def whole(self) -> RunHeader:
        """The header of the run that this is a shard of."""
        return replace(self, data={key: value for key, value in self.data.items() if key != "shard"})

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The sampling temperatures; empty where they are not known."""
        given = self.config.get("temperature")
        each = given if isinstance(given, (list, tuple)) else (given,)
        return tuple(float(t) for t in each if isinstance(t, (int, float)))

    @property
    def temperature(self) -> float | None:
        """The temperature of a run with one; None for several, or where it is not known."""
        given = self.config.get("temperature")
        return float(given) if isinstance(given, (int, float)) else None

    @property
    def top_p(self) -> float | None:
        """The share of probability that sampling keeps."""
        return self.config.get("top_p")

    @property
    def isolation(self) -> str:
        """The name of the isolation that was in force; empty where it is not known."""
        return str(_mapping(self.data.get("isolation")).get("name") or "")

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of what decides results."""
        return _mapping(self.data.get("versions"))

    @property
    def device(self) -> Mapping[str, Any]:
        """The machine."""
        return _mapping(self.data.get("device"))

    @property
    def git(self) -> Mapping[str, Any]:
        """Commit and cleanliness of the checkout that the run was made from."""
        return _mapping(self.data.get("git"))

    def relabelled(self, labels: Mapping[str, str]) -> RunHeader:
        """The header with models renamed; labels that are not named stay."""
        models = {labels.get(label, label): facts for label, facts in _mapping(self.data.get("models")).items()}
        return replace(self, data={**self.data, "models": models})


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots.

    >>> flat({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    result: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{name}."))
        else:
            result[name] = value
    return result


def read_header(folder: Path) -> RunHeader:
    """The header of the run in `folder`.

    Raises:
        RunError: run.json is damaged, or no header that this version can read.
    """
    path = folder / RUN_FILE
    try:
        header = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RunError(
            f"{path} is damaged ({error}); the run cannot be used: start it again in another folder"
        ) from None
    if not isinstance(header, dict) or not {"schema_version", "config", "config_sha256"} <= header.keys():
        raise RunError(
            f"{path} is not the header of a run: schema_version, config and config_sha256 are expected in it"
        )
    version = header["schema_version"]
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise RunError(
            f"{path} has schema version {version}, this mtp-eval reads up to {SCHEMA_VERSION}: upgrade mtp-eval"
        )
    return RunHeader(header)


def refuse_other_config(folder: Path, stored: RunHeader, wanted: Mapping[str, Any]) -> None:
    """Raise unless the stored run was asked for with the same configuration; another k of pass@k is no difference.

    Raises:
        RunMismatch: naming each key that differs, with both values.
    """
    lines = differences(stored, RunHeader(json.loads(dump_json(wanted))))
    if lines:
        raise RunMismatch(
            f"{folder} holds a run of another configuration ({'; '.join(lines)}). "
            "Give another --out, or the same options to continue that run"
        )


def differences(there: RunHeader, here: RunHeader) -> list[str]:
    """Each option, model or benchmark in which two runs differ, with both values; empty where one would repeat the other."""
    was, now = _identity(there), _identity(here)
    missing = object()
    return [
        f"{key}: {was.get(key, '(not set)')!r} there, {now.get(key, '(not set)')!r} now"
        for key in sorted(was.keys() | now.keys())
        if was.get(key, missing) != now.get(key, missing)
    ]


def _identity(header: RunHeader) -> dict[str, Any]:
    """What tells one configuration from another: options, weights of each model, protocol and data of each task."""
    facts = flat({name: value for name, value in header.config.items() if name not in NOT_IDENTITY})
    if header.shard is not None:
        facts["shard"] = str(header.shard)
    facts |= {f"models.{label}.sha256": header.model(label).get("sha256") for label in header.models}
    for task in map(header.task, header.tasks):
        facts[f"tasks.{task.name}.protocol"] = task.protocol
        facts[f"tasks.{task.name}.data_sha256"] = task.data_sha256
        facts[f"tasks.{task.name}.n_problems"] = task.n_problems
    return facts


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
