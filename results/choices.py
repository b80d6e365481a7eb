"""Words that options take: formats and layouts of tables, states of runs. Imports nothing, so that --help can list them."""

from __future__ import annotations

from typing import Literal

TableFormat = Literal["markdown", "csv", "latex", "html"]
TableExport = Literal["markdown", "csv", "latex", "html", "lm-eval", "evaluate"]
ComparisonFormat = Literal["markdown", "csv", "latex", "html", "json"]
TableGains = Literal["none", "points", "relative"]
TableStyle = Literal["standard", "by-n", "by-size", "speed", "overhead", "temperature"]
RunState = Literal["complete", "incomplete", "unfinished"]
