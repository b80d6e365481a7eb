"""Rules that make documents of a text file, held-out text whatever the order, and samples over all sources."""

from __future__ import annotations

import io
import random
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import ByteTokenizer, trained_bpe
from mtp_eval.harness.training.command import train
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.data import documents, resolve_data, resolve_tokenizer
from mtp_eval.harness.training.documents import Document, read_source
from mtp_eval.harness.training.sample import sample_texts
from mtp_eval.harness.training.text_rules import LONGEST_DOCUMENT_BYTES, PIECE_BYTES, split_text


def split(rule: str, data: bytes) -> list[bytes]:
    return list(split_text(rule, io.BytesIO(data), "x.txt"))


def config(*sources: Path, cache: Path, **data: object) -> TrainConfig:
    shape = {"d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": 8}
    about = {"sources": [str(source) for source in sources], "cache": str(cache), **data}
    return make_config({"model": shape, "data": about, "steps": 2, "batch_size": 1, "device": "cpu"})


@pytest.mark.parametrize(
    ("rule", "data", "expected"),
    [
        ("files", b"a\n\nb\n", [b"a\n\nb\n"]),
        ("files", b"", []),
        ("blocks", b"\n\na\nb\n\n \t\n\nc", [b"a\nb\n", b"c"]),
        ("blocks", b"a\r\nb\r\n\r\nc\r\n", [b"a\r\nb\r\n", b"c\r\n"]),
        ("blocks", b" \n\n", []),
        ("separator:<|endoftext|>", b"a\n<|endoftext|>\nb\n\n c<|endoftext|>d<|endoftext|>\n", [b"a\n", b"b\n\n c", b"d"]),
        ("separator:==", b"a==\r\nb", [b"a", b"b"]),
        ("separator:\n\n\n", b"a\n\nb\n\n\nc", [b"a\n\nb", b"c"]),
    ],
)  # fmt: skip
def test_a_rule_says_what_a_document_is(rule: str, data: bytes, expected: list[bytes]) -> None:
    assert split(rule, data) == expected


def test_a_separator_across_two_pieces_of_a_file_is_found() -> None:
    for shift in range(-3, 4):
        data = b"x" * (PIECE_BYTES + shift) + b"=+=" + b"y"
        assert split("separator:=+=", data) == [b"x" * (PIECE_BYTES + shift), b"y"]


@pytest.mark.parametrize("rule", ["files", "blocks", "separator:=="])
def test_a_document_that_memory_could_not_hold_is_refused_without_reading_it(rule: str) -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            self.taken += len(buffer)
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    source = Endless()
    with pytest.raises(InputError, match=r"x\.txt has a document of more than 16 MiB .*separator:TEXT"):
        list(split_text(rule, io.BufferedReader(source), "x.txt"))  # type: ignore[type-var]
    assert source.taken < 3 * LONGEST_DOCUMENT_BYTES


@pytest.mark.parametrize("rule", ["lines", "separator:", ""])
def test_an_unknown_rule_is_refused(rule: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of files, blocks, separator:TEXT"):
        config(tmp_path, cache=tmp_path, documents=rule)


def test_held_out_documents_are_the_same_whatever_their_order_and_neighbours(tmp_path: Path) -> None:
    blocks = [f"block number {i} of {i * 7919}\n" for i in range(400)]
    orders = [blocks, blocks[::-1], [f"other {i}\n" for i in range(50)] + blocks]
    held = []
    for number, order in enumerate(orders):
        path = tmp_path / f"{number}.txt"
        path.write_text("\n".join(order))
        held.append({d.text for d in read_source(str(path), rule="blocks") if d.is_held_out(0.1) and d.text in blocks})
    assert held[0] == held[1] == held[2]
    assert 12 < len(held[0]) < 80  # of 400 at a share of 0.1: six standard deviations on either side


def test_copies_of_a_text_lie_on_one_side(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("same\n\n" * 200)
    assert len({d.is_held_out(0.5) for d in read_source(str(tmp_path / "a.txt"), rule="blocks")}) == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for n in (8_000, 40_000):
        path = tmp_path / f"{n}.txt"
        path.write_text("".join(f"def f_{i}(x):\n    return x + {i} # {'x' * 150}\n\n" for i in range(n)))
        tracemalloc.start()
        build_corpus(read_source(str(path), rule="blocks"), ByteTokenizer(), tmp_path / str(n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], f"five times the text: {peaks}"


def test_a_sample_is_the_same_in_any_order_and_as_large_as_asked() -> None:
    texts = [Document(str(i), f"text {i} " * (1 + i % 7), is_part=True) for i in range(1000)]
    shuffled = random.Random(1).sample(texts, k=len(texts))
    sample = list(sample_texts(texts, 5_000))
    assert sample == list(sample_texts(shuffled, 5_000))
    assert 5_000 <= sum(map(len, sample)) < 5_000 + 80
    assert sorted(sample_texts(texts, 10**9)) == sorted(d.text for d in texts)
    assert list(sample_texts([], 10)) == []


def test_a_tokenizer_is_made_from_all_sources_in_their_proportion(tmp_path: Path) -> None:
    for letter, n in (("a", 3000), ("b", 300)):
        words = "".join(f"{letter * 3}word{i % 40}\n\n" for i in range(n))
        (tmp_path / f"{letter}.txt").write_text(words)
    sources = (tmp_path / "a.txt", tmp_path / "b.txt")
    both = config(*sources, cache=tmp_path / "c", documents="blocks", tokenizer="bpe:300", tokenizer_sample_bytes=4000)
    tokenizer = resolve_tokenizer(both)
    assert len(tokenizer.encode("bbbword")) < len(
        "bbbword"
    )  # the second source was read, though the first fills the sample
    assert tokenizer.encode("bbbword") == resolve_tokenizer(both).encode("bbbword")
    other = config(*sources, cache=tmp_path / "c", documents="blocks", tokenizer="bpe:300", weights=[1, 99])
    assert len(resolve_tokenizer(other).encode("bbbword7")) <= len(tokenizer.encode("bbbword7"))


def test_many_texts_at_once_give_the_ids_of_each() -> None:
    texts = ["", "def f():\n", "ä\udcff", "  two  spaces", "def f():\n"]
    for tokenizer in (ByteTokenizer(), trained_bpe(texts, 270)):
        assert [ids.tolist() for ids in tokenizer.encode_many(texts)] == [tokenizer.encode(text) for text in texts]


def test_prompts_and_texts_stay_together_when_tokenised_in_batches(tmp_path: Path) -> None:
    def pairs() -> Iterator[Document]:
        for i in range(50):
            yield Document(str(i), f"answer {i}", f"question {i}" if i % 3 else "")

    built = build_corpus(pairs(), ByteTokenizer(), tmp_path / "c", holdout=0)
    text = bytes(int(t) for t in built.train.read(0, built.train.n_tokens).tokens if t < 256).decode()
    assert text == "".join((f"question {i}" if i % 3 else "") + f"answer {i}" for i in range(50))


@pytest.mark.slow
def test_what_is_held_out_is_said_before_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.txt").write_text("\n\n".join(f"line {i}" for i in range(300)))
    for rule, said in (("blocks", "of 300 documents are held out"), ("files", "none of .*one.txt.*data.documents")):
        about = config(tmp_path / "one.txt", cache=tmp_path / "c", documents=rule)
        train(about, tmp_path / rule)
        first = capsys.readouterr().err.partition("steps in")[0]
        assert re.search(said, first)


def test_early_stopping_without_held_out_text_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("all of it " * 100)
    about = config(tmp_path / "one.txt", cache=tmp_path / "c").model_copy(update={"early_stop": 2})
    with pytest.raises(InputError, match=r"early_stop = 2 needs held-out text, and 0 of 1 documents.*data\.documents"):
        train(about, tmp_path / "out")


def test_another_rule_is_other_text(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a\n\nb\n")
    counts = []
    for rule in ("files", "blocks"):
        about = config(tmp_path / "one.txt", cache=tmp_path / "c", documents=rule, holdout=0)
        assert len(list(documents(about))) == (1 if rule == "files" else 2)
        counts.append(len(resolve_data(about, tmp_path / "out")[0].parts[0].train.ends))
    assert counts == [1, 2]
