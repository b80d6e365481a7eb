"""Looking for benchmarks' problems in training text: the options, what was found, and the text without overlap."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from mtp_eval.harness.config import Config, Folder, Names, Texts
from mtp_eval.harness.outputs import try_file, write_file
from mtp_eval.harness.training.data import overlap_index
from mtp_eval.harness.training.documents import DATASETS, Document, read_source, source_files
from mtp_eval.harness.training.overlap import DEFAULT_N, Hit, OverlapIndex, summarise


class OverlapConfig(Config):
    """The options of `mtp-eval data check`."""

    sources: Texts = Field(
        min_length=1,
        description="stdlib, a file, a folder, a glob in quotes, or datasets:NAME.",
        json_schema_extra={"metavar": "SOURCE..."},
    )
    task: Names = Field(
        default=("humaneval", "mbpp"),
        min_length=1,
        description="Tasks to compare with.",
        json_schema_extra={"metavar": "NAME,NAME,...", "default": "humaneval,mbpp"},
    )
    ngram: int = Field(default=DEFAULT_N, ge=3, description="Tokens in a row that count as overlap.")
    text_field: str | None = Field(
        default=None, description="Column of JSONL, Parquet and datasets.", json_schema_extra={"metavar": "NAME"}
    )
    out: Path | None = Field(default=None, description="Write the documents without overlap as JSONL.")
    data_dir: Folder | None = Field(
        default=None, description="Folder of benchmark files.", json_schema_extra={"default": "$MTP_EVAL_DATA"}
    )
    show: int = Field(default=10, ge=0, description="Worst pairs to list.")


@dataclass
class Overlap:
    """Findings of an overlap check so far.

    Args:
        n_problems: of each task.
        ngram: tokens in a row that count as overlap.
    """

    n_problems: Mapping[str, int]
    ngram: int
    n_read: int = 0
    n_kept: int = 0
    hits: list[Hit] = field(default_factory=list)

    def text(self, show: int = 10) -> str:
        """The report of the check: how many documents overlap, the figures of each task, and the worst pairs."""
        lines = [
            f"{self.n_read:,} documents read, {self.n_read - self.n_kept:,} share {self.ngram} tokens in a row with a problem"
        ]
        found = summarise(self.hits)
        for name, problems in self.n_problems.items():
            touched, documents, largest = found.get(name, (0, 0, 0.0))
            lines.append(
                f"{name}: {touched} of {problems} problems in {documents} documents; most of one problem: {largest:.0%}"
            )
        worst = sorted(self.hits, key=lambda hit: (-hit.share, hit.problem, hit.document))[:show]
        lines += [f"  {hit.share:4.0%} of {hit.problem} in {hit.document} ({hit.runs} runs)" for hit in worst]
        return "\n".join(lines) + "\n"


def check_overlap(config: OverlapConfig) -> Overlap:
    """Read every source, and write the documents without overlap if that is asked for.

    Raises:
        InputError: sources or an output that cannot be used.
        TaskError: no such task.
    """
    files = (path for source in config.sources if not source.startswith(DATASETS) for _, path in source_files(source))
    try_file(config.out, "--out", tuple(files))  # writing over what is read would lose columns and what overlaps
    index, n_problems = overlap_index(list(config.task), config.ngram, config.data_dir)
    found = Overlap(n_problems, config.ngram)
    clean = (as_line(document) for document in documents_without_overlap(config, index, found))
    if config.out is None:
        for _ in clean:
            pass
    else:
        write_file(config.out, clean)
    return found


def documents_without_overlap(config: OverlapConfig, index: OverlapIndex, found: Overlap) -> Iterator[Document]:
    """The documents to keep; what is read is noted in `found`."""
    for source in config.sources:
        for document in read_source(source, config.text_field):
            found.n_read += 1
            hits = index.hits(document.name, document.text)
            found.hits += hits
            if not hits:
                found.n_kept += 1
                yield document


def as_line(document: Document) -> str:
    """A document as a line of JSONL; bytes that are not UTF-8 become question marks."""
    text = document.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return json.dumps({"name": document.name, "text": text}) + "\n"
