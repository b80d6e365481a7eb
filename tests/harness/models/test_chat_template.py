"""Chat templates on their way from a folder of Hugging Face into a checkpoint; what they write is in backends/test_same_question.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.chat_template import FILE, ChatTemplate, load, of_hugging_face
from mtp_eval.harness.models.tokenizers import fingerprint, load_tokenizer, read_tokenizer, trained_bpe

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def saved(folder: Path, config: dict[str, Any], jinja: str | None = None) -> ChatTemplate | None:
    """The template of a folder with this tokenizer_config.json, by way of a checkpoint."""
    folder.mkdir()
    trained_bpe(["def f(x):\n    return x\n"] * 9, 300).save(folder)
    (folder / "tokenizer_meta.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENS | config))
    if jinja is not None:
        (folder / "chat_template.jinja").write_text(jinja)
    read_tokenizer(folder).save(folder)
    return load_tokenizer(folder).chat


def test_a_template_goes_with_its_tokenizer_into_a_checkpoint(tmp_path: Path) -> None:
    assert saved(tmp_path / "a", {"chat_template": "a"}) == ChatTemplate("a", TOKENS)
    several = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    assert saved(tmp_path / "b", {"chat_template": several}) == ChatTemplate("d", TOKENS)
    assert saved(tmp_path / "c", {"chat_template": several[:1]}) is None
    assert saved(tmp_path / "d", {"chat_template": "a"}, jinja="j") == ChatTemplate("j", TOKENS)
    assert saved(tmp_path / "e", {}) is None
    added = {"chat_template": "a", "pad_token": {"content": "<pad>", "special": True}, "unk_token": None}
    assert saved(tmp_path / "f", added) == ChatTemplate("a", {**TOKENS, "pad_token": "<pad>"})


def test_a_template_does_not_change_how_text_is_encoded(tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    saved(tmp_path / "with/a", {"chat_template": "a"})
    saved(tmp_path / "without/a", {})
    assert fingerprint(load_tokenizer(tmp_path / "with/a")) == fingerprint(load_tokenizer(tmp_path / "without/a"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"bos_token": "<s>"}', "null"])
def test_a_damaged_template_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=r"chat_template\.json is damaged"):
        load(tmp_path)


def test_a_folder_without_a_template_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert of_hugging_face(tmp_path, {"chat_template": ""}) is None
