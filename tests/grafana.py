"""Grafana's dashboards as files, and what they ask Prometheus."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GRAFANA = Path(__file__).parents[1] / "docker" / "grafana"
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$org": ".*"}


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").iterdir())]


def asked(dashboard: dict[str, Any]) -> Iterator[str]:
    """What a dashboard asks Prometheus, its variables replaced."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                yield expression
