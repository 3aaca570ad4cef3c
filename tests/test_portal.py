"""The developer portal: whole, without anything from elsewhere, and refused where a link leads nowhere."""

import importlib
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from aicd_core.orchestrator import LIMIT_CODES
from aicd_github.webhooks.events import KINDS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
portal = importlib.import_module("build_portal")
WRITTEN = (
    r'\b(?:default_)?code ?= ?"([a-z_]{4,})"',
    r'\b(?:ignored|failed)\(\s*"([a-z_]+)"',
    r'\bStepResult\(\s*[\w.]+,\s*"([a-z_]+)"',
    r'\b(?:job|error|decision|outcome)\.code == "([a-z_]+)"',
    r'\b_?RefusedError\(\s*\d+,\s*"([a-z_]+)"',
)
"""How a code stands in the code: where one is made, and where one is asked for."""
HEAD = '<link rel="stylesheet" href="a.css"><a id="here" href="#here">x</a>'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("portal") / "site"
    portal.build(ROOT, dest)
    return dest


def test_the_portal_is_whole_and_needs_nothing_from_elsewhere(site: Path):
    assert list(portal.faults(site)) == []
    texts = {path: path.read_text() for path in site.rglob("*.html")}
    for path, text in texts.items():
        fetched = re.findall(r"<(?:script|link|img)[^>]*\s(?:src|href)=[\"']?([^\"'\s>]+)", text)
        assert not [each for each in fetched if "//" in each], path
        assert "<script>" not in text, path
    config = (ROOT / "docs/portal.toml").read_text()
    for page in re.findall(r'= "([\w/-]+)\.md"', config.partition("[project.theme]")[0]):
        name = page.removesuffix("index").rstrip("/")
        assert (site / name / "index.html").is_file(), f"docs/portal.toml names {page}.md"
    for page in tomllib.loads(config)["portal"]["pages"].values():
        assert (site / page.removesuffix(".md") / "index.html").is_file(), page
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    reference = "".join(text for path, text in texts.items() if path.is_relative_to(site / "reference"))
    for item in document["paths"].values():
        for told in item.values():
            assert f'id="{told["operationId"]}"' in reference
    for name in document["components"]["schemas"]:
        assert f'id="{name.lower()}"' in reference
    assert "Idempotency-Key" in (site / "search.json").read_text()


def test_the_catalogue_has_every_code_that_is_made(site: Path):
    page = (site / "errors" / "index.html").read_text()
    for code in (
        "no_such_job",
        "policy_denied",
        "key_revoked",
        "sandbox_unavailable",
        "issue_too_large",
        "session_idle",
    ):
        assert f"<code>{code}</code>" in page
    found = {coded.code: coded for coded in portal.portal_errors.catalogue(ROOT)}
    written = dict[str, Path]()
    for path in ROOT.glob("*/*/src/**/*.py"):
        if "testing" not in path.parts:
            text = path.read_text()
            assert not re.search(r"\bcode=f\"", text), f"{path}: no reader of it finds a code that is put together"
            written |= dict.fromkeys((code for way in WRITTEN for code in re.findall(way, text)), path)
    assert len(written) > 200
    assert {code: path for code, path in written.items() if code not in found} == {}
    assert found.keys() >= {*LIMIT_CODES.values(), "step_timeout", "trigger_permission", "model_timeout"}
    limit = found["time_limit"]
    assert (limit.status, limit.message[:17]) == (portal.portal_errors.REASON, "The time limit of")
    assert "<code>review_rejected</code>" in page.partition("Reasons, of jobs")[2]
    assert "is not a job's id" in found["bad_job_id"].message


def test_what_a_site_may_not_have_is_found(tmp_path: Path):
    (tmp_path / "a.css").write_text("a{color:red}")
    (tmp_path / "b.css").write_text("@import url(https://fonts.example/x.css)")
    planted = {
        "good": HEAD,
        "inline": "<script>run()</script>",
        "style": "<style>a{}</style>",
        "attribute": '<p style="color:red">x</p>',
        "handler": '<p onclick="run()">x</p>',
        "script": '<script src="https://cdn.example/x.js"></script>',
        "font": '<link rel="stylesheet" href="//fonts.example/x.css">',
        "image": '<img src="https://img.example/x.png">',
        "link": '<a href="gone/">x</a>',
        "anchor": '<a href="good.html#gone">x</a>',
        "out": '<a href="../../etc/passwd">x</a>',
    }
    for name, text in planted.items():
        (tmp_path / f"{name}.html").write_text(text)
    said = list(portal.faults(tmp_path))
    for name in (*planted.keys() - {"good"}, "b.css"):
        assert any(line.startswith(name) for line in said), name
    assert not any(line.startswith(("good", "a.css")) for line in said)


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path):
    with pytest.raises(portal.PortalError, match=r"docs/a\.md links to gone\.md, which does not exist"):
        portal._relinked("see [it](gone.md)\n", "docs/a.md", "a.md", {}, ROOT)
    kept = "```\n[it](gone.md)\n```\n"
    assert portal._relinked(kept, "docs/a.md", "a.md", {}, ROOT) == kept
    told = portal._relinked("[the rules](../scripts/check_rules.py)\n", "docs/a.md", "a.md", {}, ROOT)
    assert told == "the rules (`scripts/check_rules.py`)\n"
    (tmp_path / "docs").mkdir()
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "x"\n')
    (tmp_path / "docs" / "index.md").write_text("# X\n\n[it](gone.md)\n")
    with pytest.raises(portal.PortalError, match="page does not exist"):
        portal.generate(tmp_path)


def test_a_folder_of_somebody_elses_is_not_replaced(tmp_path: Path):
    (tmp_path / "work.txt").write_text("mine")
    with pytest.raises(portal.PortalError, match="is not empty and no portal"):
        portal.build(ROOT, tmp_path)
    assert (tmp_path / "work.txt").read_text() == "mine"


def test_the_page_of_webhooks_names_every_event_that_is_used():
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "webhooks.md").read_text()))
    assert set(KINDS) <= named
