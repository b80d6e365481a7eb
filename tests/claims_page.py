"""docs/claims.md, made from what conducted studies left in docs/studies.

`python -m tests.claims_page` (part of `make fix`) writes it; tests/test_docs.py holds it against the studies. A study that was
conducted leaves its results.json there under its name.
"""

from __future__ import annotations

import json
from pathlib import Path

from mtp_eval.harness.studies.catalogue import NAMES, load_study
from mtp_eval.harness.studies.claims_page import claims_page

ROOT = Path(__file__).resolve().parents[1]
PAGE, LEFT = ROOT / "docs/claims.md", ROOT / "docs/studies"


def page() -> str:
    """The page as studies and files are now; a verdict on a claim that no study has any more is an error."""
    found = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(LEFT.glob("*.json"))}
    for name, results in found.items():
        texts = {claim.text for claim in load_study(name).claims}
        if strange := [verdict["claim"] for verdict in results["verdicts"] if verdict["claim"] not in texts]:
            raise ValueError(
                f"docs/studies/{name}.json has verdicts on what is no claim of the study {name}: {strange}"
            )
    assert set(found) <= set(NAMES)
    return claims_page(found)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
