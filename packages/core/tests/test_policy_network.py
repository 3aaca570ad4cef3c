"""Which hosts a repository's commands reach, within what its organisation allows."""

import pytest
from pydantic import ValidationError

from aicd_core.contracts.config import PolicySettings
from aicd_core.policy import Network, Rules, bounded, effective_rules, parse_rules


def test_without_a_bound_the_repository_decides():
    assert bounded(["pypi.org", "*.example.com"], None) == Network(("pypi.org", "*.example.com"))


@pytest.mark.parametrize(
    ("asked", "bound", "hosts", "refused"),
    [
        ("pypi.org", ["pypi.org"], ["pypi.org"], False),
        ("pypi.org", ["npmjs.com"], [], True),
        ("pypi.org", [], [], True),
        ("a.example.com", ["*.example.com"], ["a.example.com"], False),
        ("example.com", ["*.example.com"], [], True),
        ("badexample.com", ["*.example.com"], [], True),
        ("*.a.example.com", ["*.example.com"], ["*.a.example.com"], False),
        ("*.example.com", ["*.a.example.com", "b.example.com"], ["*.a.example.com", "b.example.com"], True),
        ("*.example.com", ["*.example.org"], [], True),
        ("*.com", ["*.example.com"], ["*.example.com"], True),
    ],
)
def test_only_what_both_lists_have_is_reached(asked: str, bound: list[str], hosts: list[str], refused: bool):
    assert bounded([asked], bound) == Network(tuple(hosts), (asked,) if refused else ())


def test_where_every_host_is_refused_there_is_still_a_way_out_that_says_so():
    assert bounded(["pypi.org"], [])
    assert not bounded([], ["pypi.org"])


def test_the_bound_is_the_organisations_alone():
    rules = Rules(allowed_hosts=("pypi.org",))
    assert effective_rules(rules, PolicySettings()).allowed_hosts == ("pypi.org",)
    with pytest.raises(ValidationError):
        PolicySettings.model_validate({"allowed_hosts": ["evil.example"]})


def test_a_bound_is_published_as_it_was_written_and_a_bad_host_is_refused():
    rules = Rules(allowed_hosts=())
    assert parse_rules(rules.model_dump(mode="json"), "F").allowed_hosts == ()
    with pytest.raises(Exception, match=r"allowed_hosts\.0"):
        parse_rules({"allowed_hosts": ["10.0.0.1"]}, "F")
