"""How values are told to people: money, times, states. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup

from aicd_core.contracts.usage import MICRO_USD
from aicd_core.jobs.machine import AT_WORK, OPEN, JobEvent, JobState

STATES: Mapping[JobState, tuple[str, str]] = {
    JobState.QUEUED: ("Queued", "wait"),
    JobState.PLANNING: ("Planning", "work"),
    JobState.AWAITING_APPROVAL: ("Awaiting approval", "ask"),
    JobState.CODING: ("Coding", "work"),
    JobState.REVIEWING: ("Reviewing", "work"),
    JobState.PR_OPEN: ("Pull request open", "good"),
    JobState.PAUSED: ("Paused", "ask"),
    JobState.MERGED: ("Merged", "done"),
    JobState.CLOSED: ("Closed", "off"),
    JobState.FAILED: ("Failed", "bad"),
    JobState.CANCELLED: ("Cancelled", "off"),
}
"""Each state's name, and the tone that it is shown in; the tone alone never tells it."""

EVENTS: Mapping[JobEvent | None, str] = {
    None: "Made",
    JobEvent.ADMITTED: "Taken up",
    JobEvent.PLAN_INVALID: "The plan was invalid",
    JobEvent.PLAN_READY: "The plan is ready",
    JobEvent.APPROVAL_ASKED: "The plan waits for approval",
    JobEvent.APPROVED: "The plan was approved",
    JobEvent.SENT_BACK: "The plan was sent back",
    JobEvent.CODED: "Coded and tested",
    JobEvent.REJECTED: "The review asks for another round",
    JobEvent.PUBLISHED: "The pull request is open",
    JobEvent.FEEDBACK: "Feedback on the pull request",
    JobEvent.GIVEN_UP: "Left to a person",
    JobEvent.MERGED: "Merged",
    JobEvent.CLOSED: "Closed without merging",
    JobEvent.FAILED: "Failed",
    JobEvent.CANCELLED: "Cancelled",
    JobEvent.LIMIT_REACHED: "A limit was reached",
    JobEvent.RESUMED: "Goes on",
    JobEvent.RETRY_SCHEDULED: "Will be tried again",
    JobEvent.HANDED_OVER: "Handed over to another worker",
}

VERDICTS: Mapping[str, tuple[str, str]] = {
    "allow": ("Allow", "good"),
    "ask": ("Ask a person", "ask"),
    "deny": ("Deny", "bad"),
    "approve": ("Approved", "good"),
    "reject": ("Changes wanted", "bad"),
    "escalate": ("Left to a person", "ask"),
}
"""What policy and critics say."""


def money(micro_usd: int | None) -> str:
    """An amount: `$12.34`, with as many places as it takes to see a small one."""
    if micro_usd is None:
        return "no limit"
    usd = micro_usd / MICRO_USD
    return f"${usd:,.2f}" if usd >= 1 or micro_usd == 0 else f"${usd:.4f}"


def amount(micro_usd: int | None) -> str:
    """An amount as a form's field has it, exact; '' for no limit."""
    if micro_usd is None:
        return ""
    whole, part = divmod(micro_usd, MICRO_USD)
    return f"{whole}.{f'{part:06}'.rstrip('0'):0<2}"


def count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = int(seconds)
    for big, small, divisor, unit in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= divisor:
            rest = whole % divisor // unit
            return f"{whole // divisor} {big} {rest} {small}" if rest else f"{whole // divisor} {big}"
    return f"{whole} s"


def when(moment: datetime | None, now: datetime | None = None) -> Markup:
    """A time as an element: exact in its title, and how long ago where `now` is given."""
    if moment is None:
        return Markup("&ndash;")
    exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    shown = exact if now is None else ago(moment, now)
    moving = "" if now is None else Markup(" data-ago")
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(moment.isoformat(), exact, moving, shown)


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `5 min ago`, `3 h ago`; days from a week on as a date."""
    seconds = (now - moment).total_seconds()
    if seconds < 0:
        return f"in {duration(-seconds)}" if seconds < -60 else "just now"
    for limit, divisor, unit in ((3600, 60, "min"), (86400, 3600, "h"), (7 * 86400, 86400, "d")):
        if seconds < limit:
            return f"{int(seconds // divisor)} {unit} ago" if seconds >= 60 else "just now"
    return f"{moment:%Y-%m-%d}"


def badge(told: tuple[str, str]) -> Markup:
    """A word in a tone."""
    return Markup('<span class="badge {}">{}</span>').format(told[1], told[0])


def state(of: JobState) -> Markup:
    """A job's state."""
    return badge(STATES[of])


def verdict(of: str) -> Markup:
    """A verdict of policy's or a critic's."""
    return badge(VERDICTS[of])


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def repository(source: str) -> str:
    """A repository's short name: `acme/shop` of its clone URL, the folder's name of a path."""
    parts = source.removesuffix("/").removesuffix(".git").split("/")
    return "/".join(parts[-2:]) if source.startswith(("https://", "http://")) else parts[-1]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "money": money,
    "amount": amount,
    "count": count,
    "duration": duration,
    "when": when,
    "state": state,
    "verdict": verdict,
    "plural": plural,
    "repository": repository,
}
GLOBALS: Mapping[str, Any] = {"STATES": STATES, "EVENTS": EVENTS, "AT_WORK": AT_WORK, "OPEN": OPEN, "S": JobState}
"""What templates have by name."""
