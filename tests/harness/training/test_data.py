"""Documents, tokenised shards and windows: every token where it should be, whatever the format it came from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.batches import Batches, Windows
from mtp_eval.harness.training.corpus import Corpus, open_corpus
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.documents import Document, held_out, read_source, stdlib_files

TOKENIZER = ByteTokenizer()
TEXTS = [f"text number {i} {' '.join(str(i * j * 7919) for j in range(i % 9))}" for i in range(40)]


def corpus(folder: Path, texts: list[str] = TEXTS, **options: object) -> Corpus:
    return build_corpus(texts, TOKENIZER, folder / "corpus", holdout=0, **options)  # type: ignore[arg-type]


def batches_of(
    built: Corpus, *, length: int, n_future: int, batch_size: int, seed: int, align: bool = False
) -> Batches:
    windows = Windows(built.train, length=length, n_future=n_future, seed=seed, align_documents=align)
    return Batches([windows], [1.0], batch_size=batch_size, seed=seed)


def test_shards_hold_every_document_between_its_marks(tmp_path: Path) -> None:
    built = corpus(tmp_path, shard_tokens=100)
    assert len(built.train.shards) > 3
    expected = [id for text in TEXTS for id in (256, *text.encode(), 257)]
    window = built.train.read(0, built.train.n_tokens)
    assert window.tokens.tolist() == expected
    assert window.learnt is None
    lengths = [len(text) + 2 for text in TEXTS]
    assert window.documents.tolist() == np.repeat(np.arange(40), lengths).tolist()
    assert built.train.n_bytes == sum(map(len, TEXTS))


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 1500), length=st.integers(1, 300))
def test_any_span_reads_the_same_as_from_one_array(
    start: int, length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "spans"
    built = open_corpus(folder / "corpus") if folder.exists() else corpus(folder, shard_tokens=64)
    start = min(start, built.train.n_tokens - 1)
    whole = [id for text in TEXTS for id in (256, *text.encode(), 257)]
    window = built.train.read(start, length)
    inside = whole[start : start + length]
    assert window.tokens.tolist() == inside + [0] * (length - len(inside))
    assert (window.documents[len(inside) :] == -1).all()


def test_an_epoch_visits_every_window_once_in_an_order_of_its_seed(tmp_path: Path) -> None:
    built = corpus(tmp_path)

    def starts(seed: int, steps: range) -> list[bytes]:
        batches = batches_of(built, length=16, n_future=2, batch_size=1, seed=seed)
        return [batches.batch(step).tokens.tobytes() for step in steps]

    n_windows = Windows(built.train, length=16, n_future=2, seed=0).per_epoch
    first = starts(0, range(n_windows))
    assert len(set(first)) == n_windows
    assert starts(0, range(n_windows)) == first
    assert starts(1, range(n_windows)) != first
    assert starts(0, range(n_windows, 2 * n_windows)) != first


def test_processes_split_the_batch_that_one_would_see(tmp_path: Path) -> None:
    built = corpus(tmp_path)
    batches = batches_of(built, length=16, n_future=3, batch_size=6, seed=0)
    tokens = batches.batch(5).tokens
    halves = [batches.batch(5, slice(start, start + 3)).tokens for start in (0, 3)]
    assert np.array_equal(np.concatenate(halves), tokens)
    assert tokens.shape == (6, 19)


def test_aligned_windows_begin_with_a_document(tmp_path: Path) -> None:
    built = corpus(tmp_path)
    batches = batches_of(built, length=16, n_future=1, batch_size=8, seed=0, align=True)
    for step in range(20):
        assert (batches.batch(step).tokens[:, 0] == TOKENIZER.bos_id).all()


def test_the_fingerprint_follows_the_text(tmp_path: Path) -> None:
    a, b = corpus(tmp_path / "a"), corpus(tmp_path / "b")
    c = corpus(tmp_path / "c", [*TEXTS[:-1], TEXTS[-1] + "!"])
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert open_corpus(tmp_path / "a" / "corpus").fingerprint == a.fingerprint


def test_endless_streams_stop_at_the_budget(tmp_path: Path) -> None:
    def endless() -> object:
        while True:
            yield "abc"

    built = build_corpus(endless(), TOKENIZER, tmp_path / "c", holdout=0, max_train_tokens=1000)  # type: ignore[arg-type]
    assert 1000 <= built.train.n_tokens < 1010


def test_held_out_documents_depend_on_their_names_only() -> None:
    names = [f"file-{i}.py" for i in range(4000)]
    share = sum(held_out(name, 0.05) for name in names) / 4000
    assert 0.035 < share < 0.065  # 4.4 standard deviations: a false alarm in 100,000
    assert all(held_out(name, 0.2) for name in names if held_out(name, 0.05))


def test_every_format_gives_the_same_texts(tmp_path: Path) -> None:
    texts = ["first", "zweites ä", "third\nwith lines"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"content": t}) + "\n" for t in texts))
    with gzip.open(tmp_path / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": t}) + "\n" for t in texts)
    pq.write_table(pa.table({"id": [1, 2, 3], "code": texts}), tmp_path / "c.parquet")
    for name in ("a.jsonl", "b.jsonl.gz", "c.parquet"):
        assert [d.text for d in read_source(str(tmp_path / name))] == texts
    assert len(list(read_source(str(tmp_path)))) == 9
    assert len(list(read_source(str(tmp_path / "*.jsonl*")))) == 6
    assert [d.text for d in read_source(str(tmp_path / "c.parquet"), "code")] == texts


def test_bytes_that_are_not_utf8_still_train(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 \xff")
    (document,) = read_source(str(tmp_path / "latin.txt"))
    assert TOKENIZER.encode(document.text) == list(b"caf\xe9 \xff")


def test_the_standard_library_is_there_without_packages_and_tests() -> None:
    names = [name for name, _ in stdlib_files()]
    assert "argparse.py" in names
    assert "json/decoder.py" in names
    assert not any("site-packages" in name or name.startswith("test/") for name in names)
    assert len(names) == len(set(names)) > 300


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ', r"a\.jsonl line 2 is not JSON"),
        ("a.jsonl", '{"body": "x"}\n', r"line 1 has no text column .*\['body'\].*text_field"),
        ("a.parquet", "no parquet", "not a whole Parquet file"),
    ],
)
def test_broken_files_are_named_with_the_line(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        list(read_source(str(tmp_path / name)))


def test_sources_that_name_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no file"):
        list(read_source(str(tmp_path / "*.py")))
    with pytest.raises(InputError, match="names no training text"):
        list(read_source("none given"))


def test_damaged_shards_are_refused(tmp_path: Path) -> None:
    built = corpus(tmp_path)
    path = built.folder / "train" / "tokens-00000.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match="remove that folder"):
        open_corpus(built.folder)


def test_empty_documents_cost_two_marks(tmp_path: Path) -> None:
    built = build_corpus([Document("a", ""), Document("b", "x")], TOKENIZER, tmp_path / "c", holdout=0)
    assert built.train.read(0, 5).tokens.tolist() == [256, 257, 256, 120, 257]
