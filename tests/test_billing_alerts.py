"""The rules of billing's alerts: when each fires and when not, and where somebody who is told of one reads on."""

from pathlib import Path

import yaml
from pydantic import SecretStr

from aicd_backend.billing.figures import DIFFERING, EVENTS, PROBE, probes_of
from aicd_backend.settings import BackendSettings
from aicd_core.monitoring.probes import PROBES
from alert_scenes import PROMETHEUS, fires, played, quiet
from figures import figures_in
from grafana import asked, dashboards

RULES = PROMETHEUS / "rules" / "billing.yml"
PAGE = Path(__file__).parents[1] / "docs" / "billing.md"
OLDEST, DEAD, CAME = (
    f"aicd_billing_{name}" for name in ("exports_oldest_seconds", "exports_dead", "events_oldest_seconds")
)
FAILED, BOOKS = 'aicd_billing_events_total{outcome="failed"}', "aicd_billing_books_differing"
SCENES = [
    fires("AicdBillingBehind", "four hours", {OLDEST: "14401x120"}),
    quiet("AicdBillingBehind", "three hours", {OLDEST: "10800x120"}),
    fires("AicdBillingLosesTime", "a week", {OLDEST: "604801x120"}, "AicdBillingBehind"),
    fires("AicdBillingDead", "the first", {DEAD: "0x90 1x29"}),
    quiet("AicdBillingDead", "known for long", {DEAD: "3x120"}),
    fires("AicdBillingEventsWait", "half an hour", {CAME: "1801x120"}),
    quiet("AicdBillingEventsWait", "20 minutes", {CAME: "1200x120"}),
    fires("AicdBillingEventsFail", "one", {FAILED: "0x90 1x29"}),
    quiet("AicdBillingEventsFail", "yesterday's", {FAILED: "1x120"}),
    fires("AicdBillingBooksDiffer", "one meter", {BOOKS: "0x110 1x9"}),
    quiet("AicdBillingBooksDiffer", "compared once more, and alike", {BOOKS: "1x110 0x9"}),
]


def figures_of_billing() -> set[str]:
    return {figure.name for figure in PROBE.figures} | {
        f"{EVENTS.describe()[0].name}_total",
        DIFFERING.describe()[0].name,
    }


def test_each_alert_fires_in_its_scene_and_leads_to_its_section(tmp_path: Path) -> None:
    assert played(SCENES, RULES, tmp_path) == ""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    told, page = figures_of_billing(), PAGE.read_text()
    assert all(f"| `{name}` |" in page for name in told), "docs/billing.md has a table of these figures"
    for rule in group["rules"]:
        name = rule["alert"]
        assert f"\n### {name}\n" in page, name
        assert rule["annotations"]["runbook"] == f"docs/billing.md#{name.lower()}"
        assert figures_in(rule["expr"]) <= told, name
    assert {name for scene in SCENES for name in scene.fires} == {rule["alert"] for rule in group["rules"]}
    assert page.count("\n### AicdBilling") == len(group["rules"]), "a section without an alert"


def test_every_figure_of_billing_is_on_its_dashboard_and_no_other() -> None:
    (dashboard,) = (one for one in dashboards() if one["tags"] == ["aicd", "billing"])
    assert set().union(*(figures_in(one) for one in asked(dashboard))) == figures_of_billing()


def test_billing_is_told_of_where_it_is_on() -> None:
    assert probes_of(BackendSettings()) == PROBES
    assert probes_of(BackendSettings(stripe_key=SecretStr("sk_test_x"))) == (*PROBES, PROBE)
