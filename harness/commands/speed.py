"""`mtp-eval speed`: decoding rates by text, prompt length, batch, temperature and number of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.speed_config import SpeedConfig


def config_class() -> type[SpeedConfig]:
    """The class of the options."""
    from mtp_eval.harness.evaluation.speed_config import SpeedConfig

    return SpeedConfig


@command(
    "mtp-eval speed --model ckpt",
    "mtp-eval speed --model n1 --model n4 --prompt-tokens 128,1024 --batch-size 1,8,64 --out speed-gpu",
    config=config_class,
)
def speed(given: Given) -> None:
    """Measure how fast models decode with their heads, against plain decoding: one table, one plot, one JSON file.

    Every place (text, length of prompts, batch, temperature) is stored when it is measured; the same command goes on with what is
    missing, and with more models or other lengths the table grows.
    """
    from mtp_eval.harness.evaluation.speed import measure_speed
    from mtp_eval.harness.evaluation.speed_page import write_pages
    from mtp_eval.harness.evaluation.speed_prompts import domains_of
    from mtp_eval.harness.evaluation.speed_store import machine_name
    from mtp_eval.harness.outputs import try_folder
    from mtp_eval.harness.progress import say
    from mtp_eval.harness.training import domains

    config = config_class().given(given)
    try_folder(config.out, "--out")
    print(
        write_pages(measure_speed(config, domains_of(domains.TEXTS, domains.PROMPTS), say), machine_name(), config.out),
        end="",
    )
    say(f"{config.out}: speed.json, the table as Markdown, CSV and LaTeX, and the plot")
