"""Turns that most scripts need: a plan that is good, an end of coding, a review."""

from collections.abc import Iterable
from typing import Any

from aicd_brain.testing.scripts import Call, Script, Turn

CRITERION = "c1"


def using(name: str, **arguments: Any) -> Turn:
    """One tool call."""
    return Turn(calls=(Call(name=name, arguments=arguments),))


def planning(*paths: str, op: str = "modify", **fields: Any) -> Turn:
    """A plan of one step that touches the paths; `fields` add to it or replace its own."""
    plan = {
        "problem": "A problem.",
        "acceptance_criteria": [{"id": CRITERION, "text": "It is done.", "verify": "the tests"}],
        "steps": [
            {
                "id": "s1",
                "goal": "Do it.",
                "files": [{"path": path, "op": op} for path in paths],
                "criteria": [CRITERION],
            }
        ],
        "risk": {"level": "low", "reasons": []},
        "estimate": {"steps": 3, "usd": 0.1},
    }
    return using("submit", **{**plan, **fields})


def done(summary: str = "It is done.", *, complete: bool = True, notes: Iterable[str] = ()) -> Turn:
    return using("done", summary=summary, complete=complete, notes=list(notes))


def finding(name: str, path: str, line: int, **fields: Any) -> dict[str, Any]:
    own = {"severity": "high", "failure": "It breaks.", "reached_by": "Calling it.", "must_fix": True}
    return {"id": name, "path": path, "line": line, **own, **fields}


def reviewing(verdict: str, *findings: dict[str, Any], met: bool = True) -> Turn:
    criteria = [{"id": CRITERION, "met": met, "evidence": "The tests passed."}]
    return using("submit", verdict=verdict, findings=list(findings), criteria=criteria)


def script(
    planner: Iterable[Iterable[Turn]], coder: Iterable[Iterable[Turn]], critic: Iterable[Iterable[Turn]]
) -> Script:
    """A script of the three roles, each a list of conversations."""
    roles = {"planner": planner, "coder": coder, "critic": critic}
    return Script(roles={role: tuple(tuple(turns) for turns in talks) for role, talks in roles.items()})
