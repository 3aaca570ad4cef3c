"""Grafana's dashboards and where they read from: what they ask is taken by Prometheus, and is there."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from alert_scenes import promtool
from figures import figures_in, figures_told
from grafana import GRAFANA, asked, dashboards

UNITS = {"none", "short", "s", "bytes", "ops", "reqps", "percentunit", "currencyUSD"}
"""Names of Grafana's own (its `valueFormats`)."""


def sources() -> dict[str, dict[str, Any]]:
    (file,) = (GRAFANA / "provisioning" / "datasources").iterdir()
    return {one["uid"]: one for one in yaml.safe_load(file.read_text())["datasources"]}


def test_each_panel_has_a_title_a_unit_a_source_and_a_place_of_its_own():
    found, there = dashboards(), sources()
    assert len({dashboard["uid"] for dashboard in found}) == len({one["title"] for one in found}) == len(found)
    assert len([one for one in found if one["tags"] == ["aicd"]]) == 3
    for dashboard in found:
        titles = [panel["title"] for panel in dashboard["panels"]]
        assert all(titles), dashboard["uid"]
        assert len(set(titles)) == len(titles) == len({panel["id"] for panel in dashboard["panels"]})
        cells: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
            assert panel["targets"], panel["title"]
            for one in (panel, *panel["targets"]):
                assert there[one["datasource"]["uid"]]["type"] == one["datasource"]["type"]
            place = panel["gridPos"]
            own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not own & cells, panel["title"]
            assert max(x for x, _ in own) < 24, panel["title"]
            cells |= own


def test_prometheus_takes_what_each_panel_asks_and_each_figure_is_told(tmp_path: Path):
    expressions = [one for dashboard in dashboards() for one in asked(dashboard)]
    assert len(expressions) > 40
    rules = [{"record": f"panel:{n}", "expr": one} for n, one in enumerate(expressions)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout
    assert f"{len(expressions)} rules found" in done.stdout
    assert all("$" not in one for one in expressions)
    for dashboard in dashboards():
        if dashboard["tags"] == ["aicd"]:  # a further tag: not every process has them
            for one in asked(dashboard):
                assert figures_in(one) <= figures_told(), one


def test_sources_lead_to_each_other_and_dashboards_are_found():
    there = sources()
    text = (GRAFANA / "provisioning/datasources/aicd.yml").read_text()
    assert set(re.findall(r"datasourceUid: (\w+)", text)) <= set(there)
    assert {"prometheus", "loki", "tempo"} == set(there)
    assert [uid for uid, one in there.items() if one.get("isDefault")] == ["prometheus"]
    for one in there.values():
        assert re.fullmatch(r"http://[a-z]+:\d+", one["url"])
    (file,) = (GRAFANA / "provisioning" / "dashboards").iterdir()
    (provider,) = yaml.safe_load(file.read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
