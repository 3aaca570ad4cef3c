"""Finding agents. A plug-in names its class in the entry-point group `aicd.agents`."""

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from aicd_core.contracts.agent import Agent
from aicd_core.errors import InvalidInputError, UnavailableError

GROUP: Final = "aicd.agents"
_METHODS: Final = ("plan", "code", "review")


def installed() -> tuple[EntryPoint, ...]:
    """What is in the group; looked for once in a process, since a file of every installed package is read for it."""
    return _found_on(tuple(sys.path))


@cache
def _found_on(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def known_agents() -> tuple[str, ...]:
    """The names of all installed agents, sorted."""
    return tuple(sorted({point.name for point in installed()}))


def load_agent(name: str) -> Agent:
    """Makes the agent with this name.

    Raises:
        InvalidInputError: code `unknown_agent`: no such agent, with the known ones.
        UnavailableError: code `agent_broken`: the plug-in cannot be imported or made, or is no agent.
    """
    point = _entry_point(name)
    try:
        agent = point.load()()
    except Exception as error:
        raise UnavailableError(
            f"The agent {name!r} ({point.value}) could not be loaded: {type(error).__name__}: {error}. "
            "Install its package again, or choose another agent.",
            code="agent_broken",
        ) from error
    missing = [method for method in _METHODS if not callable(getattr(agent, method, None))]
    if missing:
        raise UnavailableError(
            f"The agent {name!r} ({point.value}) lacks {', '.join(missing)}; "
            "an agent implements aicd_core.contracts.Agent.",
            code="agent_broken",
        )
    return cast("Agent", agent)


def agent_version(name: str) -> str | None:
    """The version of the package that offers the agent; None when that is not known."""
    point = next((point for point in installed() if point.name == name), None)
    return point.dist.version if point is not None and point.dist is not None else None


def _entry_point(name: str) -> EntryPoint:
    points = {point.value: point for point in installed() if point.name == name}
    if not points:
        known = ", ".join(known_agents()) or "none"
        raise InvalidInputError(f"There is no agent called {name!r}. Installed agents: {known}.", code="unknown_agent")
    if len(points) > 1:
        raise UnavailableError(
            f"Several installed packages offer an agent called {name!r}: {', '.join(sorted(points))}. "
            "Uninstall all but one.",
            code="agent_broken",
        )
    return next(iter(points.values()))
