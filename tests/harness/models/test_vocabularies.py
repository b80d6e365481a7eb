"""Long texts that are encoded in parts: the ids are those of the whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers, pre_tokenizers
from tokenizers import Tokenizer as RawTokenizer

from mtp_eval.harness.models import vocabularies
from mtp_eval.harness.models.tokenizers import Tokenizer, trained_bpe
from tests.harness.models.test_tokenizers import TEXTS


@cache
def bpe() -> Tokenizer:
    return trained_bpe(TEXTS, 280)


SPACES = st.text(alphabet="ab1. \n\t\r\x0b\x1c\x85\xa0\u2003\u3000éß🐍<s>", max_size=80)


@pytest.mark.slow
@settings(max_examples=300)
@given(SPACES)
def test_a_long_text_has_the_ids_of_the_whole_though_it_is_encoded_in_parts(text: str) -> None:
    whole = [bpe().encode(text), bpe().encode("a")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabularies, "PART_CHARACTERS", 3)
        in_parts = bpe().encode_many([text, "a"])
    assert [ids.tolist() for ids in in_parts] == whole


def test_tokenizers_that_look_across_spaces_get_the_whole_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes a tokenizer look across a border; the whole text is what it gets."""
    monkeypatch.setattr(vocabularies, "PART_CHARACTERS", 3)
    text = "aaa bbb\n aaa <m> b  a 11 22"
    raw = RawTokenizer.from_str(trained_bpe_source())
    changes: dict[str, Callable[[Any], None]] = {
        "a prefix space": lambda it: setattr(it, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "no words": lambda it: setattr(it, "pre_tokenizer", pre_tokenizers.ByteLevel(False, use_regex=False)),
        "a normalizer": lambda it: setattr(it, "normalizer", normalizers.Replace("a ", "b")),
        "a mark that takes the space before it": lambda it: it.add_tokens([AddedToken("<m>", lstrip=True)]),
    }
    for name, change in changes.items():
        other = RawTokenizer.from_str(raw.to_str())
        change(other)
        other.save(str(tmp_path / "tokenizer.json"))
        found = vocabularies.JsonVocabulary((tmp_path / "tokenizer.json").read_bytes())
        assert list(found.encode_many([text])[0]) == other.encode(text, add_special_tokens=False).ids, name


def trained_bpe_source() -> str:
    return vocabularies.train_bpe([*TEXTS, "aaa bbb\n aaa a b  a 11 22" * 50], 400).decode()


def test_parts_hold_all_of_the_text() -> None:
    for text in ("", " ", "aaaa", "aa  aa\n\naaa", " a" * 50):
        assert "".join(vocabularies.parts_at_words(text, 2)) == text
