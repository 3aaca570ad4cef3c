"""Writes Grafana's dashboards: `python scripts/make_dashboards.py [--check]`.

With `--check` nothing is written, and 1 says that a file is not what `dashboards.py` says.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dashboards import DASHBOARDS, Dashboard, Panel

PLACE = Path(__file__).parents[1] / "docker" / "grafana" / "dashboards"
ROW = 24
"""Columns of Grafana's grid."""
WIDTHS = {"stat": 4, "bargauge": 8, "timeseries": 8, "logs": 24}
HEIGHTS = {"stat": 4, "bargauge": 8, "timeseries": 8, "logs": 10}
OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}},
    "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "basic"},
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    "logs": {"showTime": True, "wrapLogMessage": True},
}
ORGANIZATION = {
    "name": "org",
    "label": "Organization",
    "type": "query",
    "datasource": {"type": "prometheus", "uid": "prometheus"},
    "query": {"query": "label_values(aicd_organization_cost_usd_total, org)", "refId": "org"},
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
    "refresh": 2,
    "sort": 1,
}


def placed(panels: Sequence[Panel]) -> list[dict[str, int]]:
    """Where each panel is: from left to right, a new row where one does not fit or is of another height."""
    found, x, y, height = [], 0, 0, 0
    for panel in panels:
        width = WIDTHS[panel.kind]
        if x + width > ROW or (x and HEIGHTS[panel.kind] != height):
            x, y = 0, y + height
        height = HEIGHTS[panel.kind]
        found.append({"x": x, "y": y, "w": width, "h": height})
        x += width
    return found


def panel_json(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    """One panel as Grafana reads it."""
    source = {"type": panel.source, "uid": panel.source}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": source,
                "expr": expression,
                "legendFormat": name,
                "instant": panel.kind in {"stat", "bargauge"},
            }
            for n, (expression, name) in enumerate(panel.lines)
        ],
    }


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    places = placed(dashboard.panels)
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["aicd", *([dashboard.about] if dashboard.about else [])],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": dashboard.since, "to": "now"},
        "templating": {"list": [ORGANIZATION] if dashboard.by_organization else []},
        "panels": [panel_json(n, *one) for n, one in enumerate(zip(dashboard.panels, places, strict=True), 1)],
    }


def every_dashboard() -> Iterator[Dashboard]:
    """All that this tree has; not every tree has billing's."""
    yield from DASHBOARDS
    if importlib.util.find_spec("billing_dashboard"):
        yield importlib.import_module("billing_dashboard").BILLING


def main(arguments: list[str]) -> int:
    """Writes or checks the files; 1 when one is not current."""
    late = False
    for dashboard in every_dashboard():
        path = PLACE / f"{dashboard.uid.removeprefix('aicd-')}.json"
        text = json.dumps(dashboard_json(dashboard), indent=2) + "\n"
        if "--check" not in arguments:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            print(f"{path} is not current: python scripts/make_dashboards.py")
            late = True
    return int(late)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
