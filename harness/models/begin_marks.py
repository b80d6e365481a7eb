"""What a tokenizer puts before every text, where its files do not agree.

A tokenizer.json has a post-processor. Beside it, the tokenizer_config.json of a Llama class may say `add_bos_token`, which transformers 4
obeys in place of the post-processor (true unless said otherwise), and transformers 5 does not. A converted model is to be asked what `hf:`
asks: the transformers that is installed decides, and where there is none, what the files state. That the two differ is said.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mtp_eval.harness.models.vocabularies import JsonVocabulary, before

log = logging.getLogger(__name__)

LLAMA_CLASSES = ("LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast")


def prefix_of(vocabulary: JsonVocabulary, folder: Path, config: Mapping[str, Any], bos_id: int) -> tuple[int, ...]:
    """The ids that stand before every text.

    Args:
        vocabulary: the tokenizer.json in the folder.
        config: the tokenizer_config.json beside it.
        bos_id: the begin mark.
    """
    found = (
        _of_llama_class(vocabulary, folder, config, bos_id)
        if config.get("tokenizer_class") in LLAMA_CLASSES
        else vocabulary.prefix()
    )
    say_where_it_is_not_as_stated(folder.name, config.get("add_bos_token"), found)
    return found


def _of_llama_class(
    vocabulary: JsonVocabulary, folder: Path, config: Mapping[str, Any], bos_id: int
) -> tuple[int, ...]:
    found = _as_transformers_has_it(vocabulary, folder) if find_spec("transformers") else None
    stated = (bos_id,) if config.get("add_bos_token", True) else ()
    return stated if found is None else found


def _as_transformers_has_it(vocabulary: JsonVocabulary, folder: Path) -> tuple[int, ...] | None:
    from transformers import AutoTokenizer

    try:
        whole = list(AutoTokenizer.from_pretrained(folder)("x").input_ids)
    except Exception as error:  # it raises whatever it likes; `hf:` will say the same of this folder
        log.warning("transformers cannot read the tokenizer in %s (%s)", folder, " ".join(str(error).split())[:200])
        return None
    return before(vocabulary.encode("x"), whole)


def say_where_it_is_not_as_stated(name: str, stated: bool | None, prefix: tuple[int, ...]) -> None:
    """Warn of a model that is asked without the begin mark that it states, or with one that it denies: scores depend on it."""
    if stated is not None and stated != bool(prefix):
        log.warning(
            "%s: its tokenizer_config.json says add_bos_token = %s, but the installed transformers puts %s before a text (version 4 obeyed "
            "that line, version 5 does not); prompts are as it has them",
            name, str(stated).lower(), "a begin mark" if prefix else "nothing",
        )  # fmt: skip
