"""One page with every claim of the paper in a row: the claim, the paper's figure, ours with its interval, the verdict.

Claims stand in the studies that test them, in the order of `catalogue`; verdicts come from what a study left (results.json). A claim
whose study was not conducted, or not this far, says so; claims without a study come last (`untested`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.catalogue import NAMES, load_study
from mtp_eval.harness.studies.definition import Claim
from mtp_eval.harness.studies.untested import UNTESTED

PAGE_FILE, RESULTS_FILE = "claims.md", "results.json"
HEAD = """# Every claim, and what we found

Each row is a claim of the multi-token-prediction paper ([arXiv 2404.19737](https://arxiv.org/abs/2404.19737)), of its announcement, or of
a paper that is named. Most are about models of billions of parameters; those trained here have 0.05 to 10 million, and a verdict is
one at that size. [Studies](studies.md) says how claims are judged. "Paper" is the source's own figure; "ours" is what is
compared, as a mean over seeds, and the difference with its 95 % interval. "Visible" is the smallest true difference that the test finds
four times in five, with the spread over seeds that was seen.

`mtp-eval study all` writes this page (claims.md in its folder) and adds to it with every study that is done."""
NOT_YET = "not conducted yet"
COLUMNS = ("claim", "source", "paper", "ours", "seeds", "verdict", "visible")


def claims_page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as Markdown.

    Args:
        found: the contents of results.json by the name of the study; studies that are missing were not conducted.
    """
    parts = [HEAD]
    for name in NAMES:
        study = load_study(name)
        verdicts = {verdict["claim"]: verdict for verdict in found.get(name, {}).get("verdicts", [])}
        rows = (tested_row(claim, verdicts.get(claim.text)) for claim in study.claims)
        parts.append(f"## {name}: {study.asks}\n\n{_table(COLUMNS, rows)}")
    rows = ((one.text, one.source, one.paper or "none", one.why) for one in UNTESTED)
    parts.append(f"## Claims without a study\n\n{_table(('claim', 'source', 'paper', 'why not'), rows)}")
    return "\n\n".join(parts) + "\n"


def tested_row(claim: Claim, verdict: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The row of a claim that has a study."""
    about = (claim.text, claim.source, claim.paper or "none")
    if verdict is None:
        return (*about, NOT_YET, "", "", "")
    if "difference" not in verdict:
        return (*about, verdict["reason"], "", f"**{verdict['outcome']}**", "")
    shown, (low, high) = claim.measure.text, verdict["interval"]
    ours = (
        f"{claim.measure.name}: {claim.compared((verdict['baseline'], verdict['candidate']))}, difference "
        f"{shown(verdict['difference'])} [{shown(low)}, {shown(high)}]"
    )
    p = f", p = {verdict['p_holm']:.2g}" if "p_holm" in verdict else ""
    visible = shown(verdict["smallest_visible"]) if "smallest_visible" in verdict else ""
    return (*about, ours, str(verdict["seeds"]), f"**{verdict['outcome']}**{p}", visible)


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def results_of(folder: Path) -> dict[str, Any] | None:
    """What a study left in its folder; None where it did not come to its end.

    Raises:
        InputError: its file is damaged.
    """
    file = folder / RESULTS_FILE
    if not file.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found if found["study"] and isinstance(found["verdicts"], list) else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error!r}): remove it, and the same command writes it anew") from None
