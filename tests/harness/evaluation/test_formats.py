"""The same programs in every form that is read: the same verdicts, and the same figures in metrics.json."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.extraction.formats import humaneval
from benchmarks.extraction.written import FORMS, Known
from mtp_eval.harness.evaluation.score import score
from mtp_eval.results.run import Run

N_PROGRAMS = 30


@pytest.fixture(scope="module")
def known(shared_data: Path) -> Known:
    """Real programs, some right and some wrong."""
    return humaneval(shared_data / "verdicts", N_PROGRAMS)


def scored(known: Known, form: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder.mkdir()
    path, options = (
        FORMS[form].write(known, folder),
        dict(zip(FORMS[form].options[::2], FORMS[form].options[1::2], strict=True)),
    )
    if FORMS[form].is_piped:

        class Stdin:
            buffer = io.BytesIO(path.read_bytes())

        monkeypatch.setattr("sys.stdin", Stdin)
        path = Path("-")
    return score(samples=path, task="humaneval", label="m", k="1,2", allow_missing=True, out=folder / "run",
                 extract=options.get("--extract"), filter=options.get("--filter"))  # fmt: skip


def seen(run: Run) -> tuple[dict[Any, Any], Any]:
    """The verdicts with their programs, and the cells of metrics.json."""
    verdicts = {record.key: (str(record.verdict), record.program) for record in run.records()}
    return verdicts, json.loads((run.folder / "metrics.json").read_text())["cells"]


@pytest.mark.slow
def test_every_form_gives_the_same_verdicts_and_metrics(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {form: scored(known, form, tmp_path / form.replace(" ", "-"), monkeypatch) for form in FORMS}
    found = {form: seen(run) for form, run in runs.items()}
    verdicts, cells = found["evalplus"]
    assert len(verdicts) == N_PROGRAMS
    assert {"passed", "failed"} <= {verdict for verdict, _ in verdicts.values()}
    for form, (others, others_cells) in found.items():
        assert others_cells == cells, form
        if not form.startswith("inspect"):  # a fenced answer stands behind the closed prompt: another program
            assert others == verdicts, form
        assert {name: verdict for name, (verdict, _) in others.items()} == {n: v for n, (v, _) in verdicts.items()}, (
            form
        )


def test_the_forms_of_the_page_are_those_of_the_benchmark() -> None:
    """What the first lines of `sample_forms` list is written here."""
    from mtp_eval.harness.backends import sample_forms

    listed = [line.split()[0] for line in (sample_forms.__doc__ or "").splitlines() if line.startswith("    ")]
    names = " ".join(FORMS).lower()
    assert [form for form in dict.fromkeys(listed) if form not in names and form.isalpha()] == []
