"""Tokenizers: lossless, saved and loaded as themselves, checked against the `tokenizers` package's own decoding."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import decoders, models, normalizers, processors

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models import begin_marks
from mtp_eval.harness.models.tokenizers import (
    ByteTokenizer,
    Tokenizer,
    fingerprint,
    load_tokenizer,
    prompt_ids,
    read_tokenizer,
    trained_bpe,
    trained_words,
)

TEXTS = [
    "def f(x):\n    return x + 1\n",
    "class Ä:\n\tpass  # 🐍 naïve\n",
    "for i in range(1000):\n        print(i)\n",
] * 20


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return trained_bpe(TEXTS, 300)


@given(st.binary(max_size=60))
def test_bytes_round_trip_whatever_they_are(data: bytes) -> None:
    tokenizer = ByteTokenizer()
    text = data.decode("utf-8", "surrogateescape")
    ids = tokenizer.encode(text)
    assert ids == list(data)
    assert tokenizer.decode([tokenizer.bos_id, *ids, tokenizer.eos_id, tokenizer.pad_id]) == text
    assert tokenizer.n_bytes([tokenizer.bos_id, *ids]) == len(data)


@cache
def shared_bpe() -> Tokenizer:
    """Hypothesis takes no fixtures of module scope."""
    return trained_bpe(TEXTS, 280)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.text(max_size=60))
def test_bpe_round_trips_every_text(text: str) -> None:
    ids = shared_bpe().encode(text)
    assert shared_bpe().decode(ids) == text
    assert shared_bpe().n_bytes(ids) == len(text.encode())


def test_bpe_decodes_as_the_tokenizers_package_does(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    raw = RawTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS[:3]:
        assert bpe.encode(text) == raw.encode(text).ids
        assert bpe.decode(bpe.encode(text)) == raw.decode(raw.encode(text).ids)
    assert bpe.vocab_size == 300


def test_a_cut_character_survives_decoding_in_parts(bpe: Tokenizer) -> None:
    ids = bpe.encode("🐍ß")
    data = b"".join(bpe.decode([i]).encode("utf-8", "surrogateescape") for i in ids)
    assert data == "🐍ß".encode()


def test_saved_and_loaded_is_the_same(bpe: Tokenizer, tmp_path: Path) -> None:
    for number, tokenizer in enumerate((ByteTokenizer(), bpe)):
        folder = tmp_path / str(number)
        folder.mkdir()
        tokenizer.save(folder)
        loaded = load_tokenizer(folder)
        assert fingerprint(loaded) == fingerprint(tokenizer)
        assert (loaded.name, loaded.vocab_size, loaded.bos_id, loaded.eos_id) == (
            tokenizer.name,
            tokenizer.vocab_size,
            tokenizer.bos_id,
            tokenizer.eos_id,
        )
    assert fingerprint(ByteTokenizer()) != fingerprint(bpe)


def llama_like(folder: Path) -> Path:
    """A tokenizer.json in Llama 2's alphabet: U+2581 for spaces, byte pieces as a fallback."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for piece in ("\u2581", "a", "b", "\u2581a", "\u2581ab", "ab"):
        vocab[piece] = len(vocab)
    model = models.BPE(
        vocab=vocab,
        merges=[("\u2581", "a"), ("\u2581a", "b"), ("a", "b")],
        unk_token="<unk>",
        byte_fallback=True,
        fuse_unk=True,
    )
    raw = RawTokenizer(model)
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    raw.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    raw.add_special_tokens(["<s>", "</s>"])
    raw.save(str(folder / "tokenizer.json"))
    return folder


def test_a_llama_like_vocabulary_keeps_spaces_and_bytes(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(llama_like(tmp_path), vocab_size=320)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size) == (1, 2, 320)
    ids = tokenizer.encode("ab ab\nö")
    assert tokenizer.decode(ids) == " ab ab\nö"
    assert tokenizer.decode(tokenizer.encode("ab")) == " ab"
    assert tokenizer.decode([1, *ids, 2, 319]) == "<s> ab ab\nö</s>"
    assert tokenizer.n_bytes([1, *ids, 2]) == tokenizer.n_bytes(ids) == len(" ab ab\nö".encode())


def test_marks_are_taken_from_the_config_beside_the_vocabulary(tmp_path: Path) -> None:
    llama_like(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<s>"}}))
    assert read_tokenizer(tmp_path).eos_id == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ('{"model": {"type": "WordPiece"}}', "cannot be read|loses spaces"),
    ],
)
def test_unusable_vocabularies_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_tokenizer(tmp_path)


def test_missing_and_damaged_tokenizers_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="checkpoint folder written by"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="expected 'bytes'"):
        read_tokenizer(tmp_path / "nowhere")
    (tmp_path / "tokenizer_meta.json").write_text('{"kind": "runes"}')
    with pytest.raises(InputError, match="'runes'"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="258 or more"):
        trained_bpe(TEXTS, 100)


def test_sentencepiece_models_keep_spaces_and_bytes(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(line for text in TEXTS for line in text.splitlines() if line.strip()))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(tmp_path / "tokenizer"),
        vocab_size=330,
        model_type="bpe",
        byte_fallback=True,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    tokenizer = read_tokenizer(tmp_path / "tokenizer.model")
    raw = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size) == (raw.bos_id(), raw.eos_id(), 330)
    text = "def f(x):\n    return 'ß🐍'  # twice  "
    ids = tokenizer.encode(text)
    assert ids == raw.encode(text)
    assert tokenizer.decode(ids) == " " + text, "Llama 2's dummy prefix stays"
    folder = tmp_path / "saved"
    folder.mkdir()
    tokenizer.save(folder)
    assert load_tokenizer(folder).encode(text) == ids


EDGES = ["3->7\n9->1\n7->9\ngoal 1\n7->9\n", "9->1\n3->7\ngoal 9\n3->7\n"]


def test_a_word_is_one_token_in_every_place() -> None:
    words = trained_words(EDGES, 300)
    edge, *_ = words.encode("3->7\n")
    assert words.encode("3->7\n") == [edge]
    assert [words.encode(text).count(edge) for text in EDGES] == [1, 2]
    assert len(words.encode(EDGES[0])) == 6  # four edges, "goal ", "1\n"
    assert words.vocab_size == 258 + 6  # 3->7, 9->1, 7->9, goal, 1, 9
    assert words.encode(EDGES[0] + EDGES[1]) == words.encode(EDGES[0]) + words.encode(EDGES[1])


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60, alphabet=st.characters(codec="utf-8")))
def test_words_beyond_the_vocabulary_come_back_as_they_were(text: str) -> None:
    words = _words()
    assert words.decode(words.encode(text)) == text
    assert words.n_bytes(words.encode(text)) == len(text.encode())


@cache
def _words() -> Tokenizer:
    return trained_words(EDGES, 300)


def test_rare_words_give_way_and_sizes_without_room_are_refused() -> None:
    texts = ["often often often seldom "] * 3
    assert len(trained_words(texts, 259).encode("often ")) == 1
    assert len(trained_words(texts, 259).encode("seldom ")) == 7
    with pytest.raises(InputError, match="no room for words"):
        trained_words(texts, 258)


def test_what_stands_before_a_text_is_what_the_tokenizer_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without transformers, which would decide."""
    monkeypatch.setattr(begin_marks, "find_spec", lambda name: None)
    llama_like(tmp_path)
    config = tmp_path / "tokenizer_config.json"

    def prefix(**about: object) -> tuple[int, ...]:
        config.write_text(json.dumps({"eos_token": "</s>", "bos_token": "<s>", **about}))
        return read_tokenizer(tmp_path).prefix_ids

    assert prefix(tokenizer_class="PreTrainedTokenizerFast") == ()  # no post-processor
    bos = read_tokenizer(tmp_path).bos_id
    assert prefix(tokenizer_class="LlamaTokenizerFast") == (bos,)
    assert prefix(tokenizer_class="LlamaTokenizer", add_bos_token=False) == ()
    assert prompt_ids(read_tokenizer(tmp_path), "") == [bos]  # never nothing
    saved = tmp_path / "saved"
    saved.mkdir()
    read_tokenizer(tmp_path, eos_ids=[5]).save(saved)
    assert load_tokenizer(saved).prefix_ids == ()
    assert load_tokenizer(saved).eos_ids == {read_tokenizer(tmp_path).eos_id, 5}


CASES = [
    (kind, tokenizer_class, stated, begins)
    for kind in ("bytes", "metaspace")
    for tokenizer_class in ("LlamaTokenizerFast", "CodeLlamaTokenizerFast", "PreTrainedTokenizerFast")
    for stated in (None, True, False)
    for begins in (True, False)
    if (kind, tokenizer_class) != ("bytes", "CodeLlamaTokenizerFast")  # which transformers cannot read
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_stands_before_a_text_is_what_transformers_adds(
    tmp_path: Path, bpe: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    """The oracle is AutoTokenizer: `hf:` asks with it."""
    transformers = pytest.importorskip("transformers")
    for number, (kind, tokenizer_class, stated, begins) in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        if kind == "bytes":
            bpe.save(folder)
            (folder / "tokenizer_meta.json").unlink()
        else:
            llama_like(folder)
        about = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": tokenizer_class}
        about = {key: value for key, value in about.items() if kind != "bytes" or key != "unk_token"}
        added = {} if stated is None else {"add_bos_token": stated}
        (folder / "tokenizer_config.json").write_text(json.dumps({**about, **added}))
        (folder / "config.json").write_text('{"model_type": "llama"}')
        if begins:
            raw = RawTokenizer.from_file(str(folder / "tokenizer.json"))
            mark = ("<s>", read_tokenizer(folder).bos_id)
            raw.post_processor = processors.TemplateProcessing(single=["<s>", "$A"], special_tokens=[mark])
            raw.save(str(folder / "tokenizer.json"))
        caplog.clear()
        ours = read_tokenizer(folder)
        expected = list(transformers.AutoTokenizer.from_pretrained(folder)("def f").input_ids)
        assert prompt_ids(ours, "def f") == expected, CASES[number]
        said = any("add_bos_token" in message for message in caplog.messages)
        assert said == (stated not in (None, bool(ours.prefix_ids)))


def test_checkpoints_of_0_1_0_begin_with_the_mark_as_they_did(tmp_path: Path, bpe: Tokenizer) -> None:
    bpe.save(tmp_path)
    meta = json.loads((tmp_path / "tokenizer_meta.json").read_text())
    (tmp_path / "tokenizer_meta.json").write_text(json.dumps({k: v for k, v in meta.items() if not k.endswith("_ids")}))
    assert load_tokenizer(tmp_path).prefix_ids == (0,)
