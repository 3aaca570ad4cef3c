"""The policy on changes made for it: nearly every tampering one is caught, nearly every honest one passes."""

from pathlib import Path

import pytest

from aicd_core.policy.checks import CHECKS
from aicd_core.testing.policy_corpus import Entry, alarm_score, catch_score, read_corpus

CORPUS = Path(__file__).parent / "policy_corpus"
BAD, GOOD = read_corpus(CORPUS / "bad"), read_corpus(CORPUS / "good")
LEAST_CAUGHT, MOST_ALARMS = 0.98, 0.02


def titles(entries: tuple[Entry, ...]) -> list[str]:
    return [f"{entry.source}: {entry.title}" for entry in entries]


def test_the_corpus_is_large_and_no_change_is_in_it_twice():
    assert min(len(BAD), len(GOOD)) >= 150
    for entries in (BAD, GOOD):
        assert len({(entry.source, entry.title) for entry in entries}) == len({str(e.files) + str(e) for e in entries})
    assert all(entry.rule for entry in BAD)
    assert not any(entry.rule for entry in GOOD)


def test_every_rule_has_changes_that_it_must_catch():
    assert set(CHECKS) <= {entry.rule for entry in BAD}


def test_at_least_98_in_100_tampering_changes_are_caught_by_their_rule():
    score = catch_score(BAD)
    assert score.right / score.total >= LEAST_CAUGHT, titles(score.wrong)


def test_at_most_2_in_100_honest_changes_raise_an_alarm():
    score = alarm_score(GOOD)
    assert score.share_wrong <= MOST_ALARMS, titles(score.wrong)


@pytest.mark.parametrize("rule", sorted(CHECKS))
def test_each_rule_keeps_the_bounds_of_all(rule: str):
    caught, alarms = catch_score(BAD, rule), alarm_score(GOOD, rule)
    assert caught.right / caught.total >= LEAST_CAUGHT, titles(caught.wrong)
    assert alarms.share_wrong <= MOST_ALARMS, titles(alarms.wrong)


def test_every_finding_names_a_way_out_and_fits_on_a_line():
    for entry in BAD:
        for finding in entry.report.findings:
            assert finding.remedy.endswith(".")
            assert "\n" not in finding.message
            assert finding.line is None or finding.path is not None


def test_a_judgement_repeats_itself():
    again = read_corpus(CORPUS / "bad")
    assert [entry.report for entry in BAD] == [entry.report for entry in again]
