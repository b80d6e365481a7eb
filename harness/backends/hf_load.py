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
from mtp_eval.harness.models.begin_marks import say_where_it_is_not_as_stated
from mtp_eval.harness.models.devices import ALL_DEVICES, choose_device, choose_dtype
from mtp_eval.harness.models.vocabularies import before

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


def load(source: str, options: BackendOptions, *, parts: int = 1) -> Loaded:
    """Load the model of this name.

    Args:
        parts: processes of torch.distributed that share it, each of which calls this (tensor parallelism).

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
    if parts > 1 and options.device != "auto":
        raise InputError(
            f"--device {options.device} under torchrun: each process takes the GPU of its own number, or the CPU where there is "
            "none; leave the option out"
        )
    device = None if spread or parts > 1 else choose_device(options.device)
    try:
        loaded = _load(source, options) if parts == 1 else _load_part(source, options, parts)
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
    from transformers import AutoModelForCausalLM
    from transformers.utils.peft_utils import find_adapter_config_file

    name, place = place_of(source)
    trust = {"trust_remote_code": options.trust_remote_code}
    if "gguf_file" not in place and find_adapter_config_file(name, **place):
        return _with_adapter(source, options)
    how: dict[str, Any] = {"dtype": "auto" if options.dtype == "auto" else choose_dtype(options.dtype)}
    if options.device == ALL_DEVICES:
        how["device_map"] = "auto"
    tokenizer = _tokenizer(name, place, trust)
    model: Any = AutoModelForCausalLM.from_pretrained(name, **how, **place, **trust)
    return Loaded(tokenizer, model.eval(), _facts(place, options))


def _tokenizer(name: str, place: Mapping[str, Any], trust: Mapping[str, bool]) -> Any:
    """The tokenizer; what its files state and transformers does not do is said."""
    from transformers import AutoTokenizer
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    tokenizer: Any = AutoTokenizer.from_pretrained(name, **place, **trust)
    stated = {} if "gguf_file" in place else get_tokenizer_config(name, **place)
    say_where_it_is_not_as_stated(name, stated.get("add_bos_token"), prefix_ids(tokenizer))
    return tokenizer


def prefix_ids(tokenizer: Any) -> tuple[int, ...]:
    """The ids that a tokenizer of transformers puts before a text."""
    plain, whole = list(tokenizer("x", add_special_tokens=False).input_ids), list(tokenizer("x").input_ids)
    return before(plain, whole)


def _facts(place: Mapping[str, Any], options: BackendOptions) -> dict[str, Any]:
    """The commit of the hub, the GGUF file, and whether the repository's code may run, where there are such."""
    found: dict[str, Any] = {"revision": place["revision"]} if place.get("revision") else {}
    if "gguf_file" in place:
        found["gguf"] = Path(place["gguf_file"]).name
    if options.trust_remote_code:
        found["trust_remote_code"] = True
    return found


def _load_part(source: str, options: BackendOptions, parts: int) -> Loaded:
    """This process's part of every weight, by the plan that transformers has for the model."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.peft_utils import find_adapter_config_file

    name, place = place_of(source)
    if "gguf_file" in place or find_adapter_config_file(name, **place):
        raise InputError(
            f"hf:{source}: GGUF files and adapters (LoRA) are not shared by processes; start it without torchrun"
        )
    try:
        from transformers.distributed.configuration_utils import DistributedConfig

        split: Any = DistributedConfig(tp_size=parts, tp_plan="auto")
    except (ImportError, TypeError):
        raise InputError(
            "sharing a model by the processes of torchrun needs transformers 5.18 or later: pip install -U 'mtp-eval[hf]'"
        ) from None
    trust = {"trust_remote_code": options.trust_remote_code}
    dtype = "auto" if options.dtype == "auto" else choose_dtype(options.dtype)
    tokenizer = _tokenizer(name, place, trust)
    model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, distributed_config=split, **place, **trust)
    if not model.supports_tp_plan:
        raise InputError(
            f"hf:{source}: transformers has no plan for splitting a {model.config.model_type}; start it without torchrun, with "
            f"--device {ALL_DEVICES} where it needs several GPUs"
        )
    return Loaded(tokenizer, model.eval(), {"tensor_parallel": parts, **_facts(place, options)})


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
    commit, base_commit = place.get("revision"), base.facts.get("revision")
    facts = {**base.facts, "revision": commit, "adapter_revision": commit, "adapter_of": base_source}
    return Loaded(tokenizer, model.eval(), {**facts, "adapter_of_revision": base_commit})


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


def pinned(source: str) -> str:
    """The source with the commit that it names now, so that others who load it get the same."""
    name, place = place_of(source)
    return f"{name}@{place['revision']}" if place.get("revision") and "gguf_file" not in place else source


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
        return name, {"revision": _cached_commit(name, wanted) or wanted, "local_files_only": True}


def _cached_commit(name: str, wanted: str | None) -> str | None:
    """The commit that a branch, a tag, or the hub's default was when it was downloaded; None where nothing was."""
    from huggingface_hub import try_to_load_from_cache

    for file in ("config.json", "adapter_config.json"):
        found = try_to_load_from_cache(name, file, revision=wanted)
        if isinstance(found, str):
            return Path(found).parent.name
    return None


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with the parts that other processes have of it, where they share a model; all of them call this."""
    if not torch.distributed.is_initialized():
        return tensor
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def weights_sha256(model: torch.nn.Module) -> str:
    """The sha256 of all weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(_whole(tensor.detach()).cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
