"""The chat template that comes with a tokenizer of Hugging Face: kept with the checkpoint that is made of it.

A template is a program that writes turns as text, with the tokenizer's special tokens by name. It is read from a folder's
chat_template.jinja, or from `chat_template` in its tokenizer_config.json, and lies in a checkpoint as chat_template.json. It is run by
transformers, as for `hf:` models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError

FILE = "chat_template.json"
JINJA_FILE = "chat_template.jinja"
TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class ChatTemplate:
    """A template with the special tokens that it may name.

    Args:
        source: in Jinja.
        tokens: the texts of special tokens, by the names that templates have for them, such as "bos_token".
    """

    source: str
    tokens: Mapping[str, str]

    def renderer(self) -> Any:
        """A tokenizer of transformers that has this template and no vocabulary: its `apply_chat_template` gives the text of turns.

        Raises:
            InputError: transformers is not installed.
        """
        try:
            from tokenizers import Tokenizer
            from tokenizers.models import BPE
            from transformers import PreTrainedTokenizerFast

            make: Any = PreTrainedTokenizerFast  # untyped
        except ImportError as error:
            raise InputError("a chat template needs transformers: pip install 'mtp-eval[hf]'") from error
        return make(tokenizer_object=Tokenizer(BPE()), chat_template=self.source, **dict(self.tokens))

    def save(self, folder: Path) -> None:
        """Write into a checkpoint's folder what `load` reads."""
        about = {"chat_template": self.source, **self.tokens}
        (folder / FILE).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> ChatTemplate | None:
    """The template in a checkpoint's folder; None where there is none.

    Raises:
        InputError: the file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    try:
        about = dict(json.loads((folder / FILE).read_text(encoding="utf-8")))
        return ChatTemplate(str(about.pop("chat_template")), {str(name): str(text) for name, text in about.items()})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / FILE} is damaged ({error!r}): copy the checkpoint again") from None


def of_hugging_face(folder: Path, config: Mapping[str, Any]) -> ChatTemplate | None:
    """The template in a folder of Hugging Face's form, of several that named "default"; None where there is none.

    Args:
        folder: with a tokenizer.
        config: its tokenizer_config.json.
    """
    source = config.get("chat_template")
    if isinstance(source, list):
        source = {str(one["name"]): one["template"] for one in source}.get("default")
    if (folder / JINJA_FILE).is_file():
        source = (folder / JINJA_FILE).read_text(encoding="utf-8")
    if not isinstance(source, str) or not source:
        return None
    texts = {name: config[name] for name in TOKENS if config.get(name)}
    return ChatTemplate(
        source, {name: str(text["content"] if isinstance(text, dict) else text) for name, text in texts.items()}
    )
