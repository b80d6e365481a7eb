"""All studies one after another, each with its share of the budget, one page of them, and one of all claims."""

from __future__ import annotations

from pathlib import Path

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.progress import say
from mtp_eval.harness.studies.catalogue import NAMES, load_study
from mtp_eval.harness.studies.claims_page import PAGE_FILE, claims_page, results_of
from mtp_eval.harness.studies.conduct import check_parts, conduct
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.page import markdown_to_html, whole_page
from mtp_eval.harness.studies.plan import BudgetError
from mtp_eval.harness.studies.planned import narrowed
from mtp_eval.results.files import write_atomically


def conduct_all(config: StudyConfig, out: Path) -> str:
    """Conduct every study below `out`; returns their tables and verdicts.

    The budget is shared in proportion to the studies' own budgets; a study that does not fit into its share is named and left out.
    Claims are corrected within a study, not over all of them.

    Raises:
        InputError: parts are chosen, something that a study needs is missing (found before the first begins), or a study cannot be
            conducted as asked.
    """
    if config.part:
        raise InputError("--part chooses parts of one study: name it in place of `all`")
    studies = [load_study(name) for name in NAMES]
    for study in studies:
        check_parts(narrowed(study, (), on_gpu=config.device == "cuda"))
    usual = sum(study.minutes for study in studies)
    bodies, said = [], []
    for study in studies:
        share = config.budget and config.budget * study.minutes / usual
        try:
            done = conduct(study, config.model_copy(update={"budget": share}), out / study.name)
            body, text = done.body, str(done)
        except BudgetError as error:
            text = f"not conducted: {error}"
            say(f"study {study.name}: {text}")
            body = markdown_to_html(f"# {study.name}: {study.asks}\n\n{text}")
        bodies.append(body)
        said.append(f"## {study.name}\n\n{text}")
        write_claims(out)
    write_atomically(out / "report.html", whole_page("mtp-eval: studies", bodies))
    say(f"all studies on one page: {out / 'report.html'}; every claim in a row: {out / PAGE_FILE}")
    return "\n\n".join(said)


def write_claims(out: Path) -> None:
    """Write the page of all claims from what the studies below `out` have left so far."""
    found = {name: results for name in NAMES if (results := results_of(out / name)) is not None}
    write_atomically(out / PAGE_FILE, claims_page(found))
