"""`data check`: what overlaps is told and left out, and no file is lost by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.training.overlap_check import OverlapConfig, check_overlap
from mtp_eval.tasks.registry import load_task


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    problem = load_task("listops").problems()[3]
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n" * 30)
    (folder / "leak.py").write_text(f"# before\n{problem.prompt}\n{problem.reference}\n")
    (folder / "latin.txt").write_bytes(b"caf\xe9 au lait\n")
    return folder


def check(corpus: Path, out: Path | None = None, ngram: int = 13) -> str:
    config = OverlapConfig.given({"sources": str(corpus), "task": "listops", "out": out, "ngram": ngram})
    return check_overlap(config).text()


def test_documents_without_overlap_are_written(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "clean.jsonl"
    said = check(corpus, out)
    assert said.startswith("3 documents read, 1 share 13 tokens")
    assert "100% of listops/" in said
    assert [json.loads(line)["name"] for line in out.read_text("utf-8").splitlines()] == ["a.py", "latin.txt"]


def test_what_is_read_is_not_written_over(corpus: Path) -> None:
    lines = '{"text": "y = 2", "licence": "mit"}\n'
    (corpus / "rows.jsonl").write_text(lines)
    (corpus / "link.jsonl").symlink_to("rows.jsonl")
    for out in ("rows.jsonl", "link.jsonl"):
        with pytest.raises(InputError, match="name another file"):
            check(corpus, corpus / out)
    assert (corpus / "rows.jsonl").read_text() == lines


@pytest.mark.slow
def test_a_check_that_ends_early_leaves_the_former_file(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.jsonl"
    out.write_text("earlier\n")
    (corpus / "z.jsonl").write_text("{broken\n")
    with pytest.raises(InputError, match=r"z\.jsonl line 1"):
        check(corpus, out)
    assert out.read_text() == "earlier\n"
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "clean.jsonl"}
