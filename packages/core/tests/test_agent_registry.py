"""Finding agents by name among the installed packages."""

from importlib.metadata import EntryPoint

import pytest

from aicd_core.agents import registry
from aicd_core.agents.dummy import DummyAgent
from aicd_core.errors import InvalidInputError, UnavailableError


def pretend_installed(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    points = [EntryPoint(name.rstrip("_"), value, registry.GROUP) for name, value in values.items()]
    monkeypatch.setattr(registry, "installed", lambda: tuple(points))


def test_the_dummy_agent_is_installed() -> None:
    assert "dummy" in registry.known_agents()
    assert isinstance(registry.load_agent("dummy"), DummyAgent)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"no agent called 'gpt'.*Installed agents: .*dummy") as caught:
        registry.load_agent("gpt")
    assert caught.value.code == "unknown_agent"


def test_with_no_agent_installed_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch)
    with pytest.raises(InvalidInputError, match="Installed agents: none"):
        registry.load_agent("dummy")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module_anywhere:Agent", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("aicd_core.agents.dummy:NoSuchAgent", "AttributeError"),
        ("aicd_core.contracts.plan:Plan", "ValidationError"),
        ("builtins:dict", "lacks plan, code, review"),
    ],
)
def test_a_broken_plug_in_is_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    pretend_installed(monkeypatch, broken=value)
    with pytest.raises(UnavailableError) as caught:
        registry.load_agent("broken")
    assert caught.value.code == "agent_broken"
    assert said in caught.value.message
    assert value in caught.value.message


def test_one_name_offered_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, twin="builtins:dict", twin_="builtins:list")
    with pytest.raises(UnavailableError, match="builtins:dict, builtins:list"):
        registry.load_agent("twin")
