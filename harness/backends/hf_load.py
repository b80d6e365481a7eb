"""Load what `hf:` names: a model and its tokenizer, from a folder, a hub's name, a GGUF file or a LoRA folder.

Code that a repository brings is run only where that was asked for; weights are read as tensors in any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.devices import ALL_DEVICES, choose_device, choose_dtype

HUB_SECONDS = 10.0
_GGUF = ".gguf"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run. `facts` go to run.json: what it was made of besides its own weights."""

    tokenizer: Any
    model: Any
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """The device that its inputs go to."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device


def load(source: str, options: BackendOptions) -> Loaded:
    """Load the model of this name.

    Raises:
        InputError: there is no such model, it is damaged, or a package that it needs is not installed.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise InputError(f"hf:{source} needs transformers: pip install 'mtp-eval[hf]'") from error
    spread = options.device == ALL_DEVICES
    if spread:
        _need("accelerate", f"--device {ALL_DEVICES} with hf:{source}", "hf-large")
    device = None if spread else choose_device(options.device)
    try:
        loaded = _load(source, options)
        if device is not None:
            loaded.model.to(device)
        return loaded
    except InputError:
        raise
    except Exception as error:  # transformers and the packages under it raise whatever they like
        raise InputError(
            f"hf:{source} cannot be loaded: expected a folder or hub name of a causal language model with its tokenizer; "
            f"transformers says: {_one_paragraph(error)}"
        ) from error


def _load(source: str, options: BackendOptions) -> Loaded:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.peft_utils import find_adapter_config_file

    name, place = place_of(source)
    trust = {"trust_remote_code": options.trust_remote_code}
    if "gguf_file" not in place and find_adapter_config_file(name, **place):
        return _with_adapter(source, options)
    how: dict[str, Any] = {"dtype": "auto" if options.dtype == "auto" else choose_dtype(options.dtype)}
    if options.device == ALL_DEVICES:
        how["device_map"] = "auto"
    tokenizer = AutoTokenizer.from_pretrained(name, **place, **trust)
    model: Any = AutoModelForCausalLM.from_pretrained(name, **how, **place, **trust)
    facts: dict[str, Any] = {"gguf": Path(place["gguf_file"]).name} if "gguf_file" in place else {}
    if options.trust_remote_code:
        facts["trust_remote_code"] = True
    return Loaded(tokenizer, model.eval(), facts)


def _with_adapter(source: str, options: BackendOptions) -> Loaded:
    """A LoRA: the model that it names, with its matrices added to the weights."""
    _need("peft", f"hf:{source} is an adapter (LoRA), which", "lora")
    from peft import PeftConfig, PeftModel
    from transformers import AutoTokenizer

    name, place = place_of(source)
    about = PeftConfig.from_pretrained(name, **place)
    base_name, base_revision = about.base_model_name_or_path, about.revision
    if not base_name:
        raise InputError(
            f"hf:{source} is an adapter that does not say of which model: base_model_name_or_path is empty"
        )
    beside = Path(name, base_name)
    base_source = str(beside) if beside.is_dir() else base_name
    is_pinned = base_revision and not Path(base_source).is_dir()
    base = _load(f"{base_source}@{base_revision}" if is_pinned else base_source, options)
    model: Any = PeftModel.from_pretrained(base.model, name, **place).merge_and_unload()
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **place, trust_remote_code=options.trust_remote_code)
    except (OSError, ValueError):  # most adapters bring none
        tokenizer = base.tokenizer
    commit = getattr(base.model.config, "_commit_hash", None)
    facts = {**base.facts, "adapter_revision": place.get("revision"), "adapter_of": base_source}
    facts["adapter_of_revision"] = commit
    return Loaded(tokenizer, model.eval(), facts)


def _need(package: str, wanted_by: str, extra: str) -> None:
    if find_spec(package) is None:
        raise InputError(f"{wanted_by} needs {package}: pip install 'mtp-eval[{extra}]'")


def _one_paragraph(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 600 else text[:600] + " …"


def place_of(source: str) -> tuple[str, dict[str, Any]]:
    """A folder or a hub's name, with what `from_pretrained` is told about it: the commit, a file in it, whether to ask the hub.

    A GGUF file is named by its path, or as NAME/FILE.gguf on the hub.

    Raises:
        InputError: there is no such file or folder.
    """
    if not source.endswith(_GGUF):
        return hub_place(source)
    for package in ("gguf", "accelerate"):
        _need(package, f"hf:{source} is a GGUF file, which", "gguf")
    path = Path(source)
    if path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    parts = source.split("/")
    if path.is_absolute() or len(parts) < 3 or parts[0] in (".", ".."):
        raise InputError(f"hf:{source}: there is no such file")
    name, place = hub_place("/".join(parts[:2]))
    return name, {**place, "gguf_file": "/".join(parts[2:])}


def hub_place(source: str) -> tuple[str, dict[str, Any]]:
    """A folder, or a hub's name with what `from_pretrained` is told about it: the commit, and whether the hub can be asked at all.

    NAME@REVISION names a revision unless it is a path. The hub is asked once: without a network the cache is used at once,
    and a model that is updated while it is loaded still comes from one commit.

    Raises:
        InputError: an empty folder, or a path that is no folder.
    """
    path = Path(source)
    if path.is_dir():
        if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise InputError(
                f"hf:{source} has no config.json: expected a folder that a model of transformers was saved in. A checkpoint of ours "
                "is named without hf:"
            )
        return source, {}
    if path.exists() or path.is_absolute() or source.startswith(("./", "../", "~")):
        raise InputError(f"hf:{source}: there is no such folder")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    name, at, revision = source.rpartition("@")
    name, wanted = (name, revision) if at and revision else (source, None)
    try:
        return name, {"revision": HfApi().model_info(name, revision=wanted, timeout=HUB_SECONDS).sha}
    except (HfHubHTTPError, ValueError):  # the hub knows no such model: from_pretrained says so in its own words
        return name, {"revision": wanted}
    except Exception:  # no network, in one of the many classes that there are for it
        return name, {"revision": wanted, "local_files_only": True}


def weights_sha256(model: torch.nn.Module) -> str:
    """The sha256 of all weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
