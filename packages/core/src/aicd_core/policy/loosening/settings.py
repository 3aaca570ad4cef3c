"""Comparing two versions of a settings file, key by key."""

import re
from collections.abc import Iterator

from aicd_core.policy.loosening import directions
from aicd_core.policy.loosening.commands import loosened_words
from aicd_core.policy.loosening.flat import Setting, read_settings

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_OFF = frozenset({"false", "0", "no", "off", "null", "", '"off"'})
_ON = frozenset({"true", "1", "yes", "on"})


def loosened_settings(path: str, old: str | None, new: str | None) -> Iterator[str]:
    """What each loosened key does, in words; nothing for a file that is new or cannot be read."""
    was, now = read_settings(path, old), read_settings(path, new)
    if was is None:
        return
    if now is None:
        if new is not None:
            yield "the file can no longer be read"
        return
    name = path.rsplit("/", 1)[-1]
    for key in sorted(was.keys() | now.keys()):
        if name not in directions.MIXED or directions.SECTIONS.match(key.lower()):
            yield from _loosened(key, was.get(key), now.get(key))


def _loosened(key: str, was: Setting | None, now: Setting | None) -> Iterator[str]:
    if was == now:
        return
    last = _plain(key.rsplit(".", 1)[-1])
    if _in_list(key, directions.GROWS, last):
        more = _entries(now) - _entries(was)
        if more:
            yield f"{key} takes out {_some(more)}"
    elif last in directions.SHRINKS and (isinstance(was, frozenset) or isinstance(now, frozenset)):
        fewer = _entries(was) - _entries(now)
        if fewer and (now is not None or was):
            yield f"{key} no longer has {_some(fewer)}"
    elif directions.LEVEL_KEYS.search(_plain_path(key)):
        yield from _level(key, was, now)
    elif directions.WORDS.search(_plain_path(key)) or directions.SCRIPT_KEYS.match(key):
        yield from (f"{key}: {said}" for said in loosened_words(_line(was), _line(now)))
    else:
        yield from _value(key, last, was, now)


def _in_list(key: str, names: frozenset[str], last: str) -> bool:
    parts = [_plain(part) for part in key.split(".")]
    return last in names or (len(parts) > 1 and any(part.endswith("perfileignores") for part in parts))


def _value(key: str, last: str, was: Setting | None, now: Setting | None) -> Iterator[str]:
    old, new = _line(was).lower(), _line(now).lower()
    goes = f"{key} goes from {old or 'nothing'} to {new or 'nothing'}"
    if last in directions.FLOORS:
        floor, number = _number(old), _number(new)
        if floor is not None and (number is None or number < floor):
            yield goes
    elif last in directions.CEILINGS:
        if _is_raised(last, _number(old), _number(new)):
            yield goes
    elif last in directions.LOOSE and new in _ON and old not in _ON:
        yield f"{key} is switched on"
    elif _is_strict(last) and old in _ON and (now is None or new in _OFF):
        yield f"{key} is switched off"


def _is_raised(last: str, was: float | None, now: float | None) -> bool:
    """A limit that is higher or gone; of repetitions, which are none unless they are set, also one that is new."""
    if last.startswith(("retr", "rerun", "flaky")):
        return now is not None and now > (was or 0)
    return was is not None and (now is None or now > was)


def _is_strict(last: str) -> bool:
    return last in directions.STRICT or directions.STRICT_NAMES.match(last) is not None


def _level(key: str, was: Setting | None, now: Setting | None) -> Iterator[str]:
    old, new = _rank(was), _rank(now)
    if old is not None and (new is None or new < old) and old > 0:
        yield f"{key} goes from {_line(was)} to {_line(now) or 'nothing'}"
    elif old is None and new == 0:
        yield f"{key} is switched off"


def _rank(value: Setting | None) -> int | None:
    """How strictly a rule is taken; of a list, or of a table's `level`, the word in it."""
    words = value if isinstance(value, frozenset) else {_line(value).strip('"').lower()}
    ranks = [
        directions.LEVELS[word.strip('"').lower()] for word in words if word.strip('"').lower() in directions.LEVELS
    ]
    return max(ranks, default=None)


def _entries(value: Setting | None) -> frozenset[str]:
    if value is None or isinstance(value, frozenset):
        return value or frozenset()
    return frozenset(value.replace(",", " ").split())


def _line(value: Setting | None) -> str:
    return " ".join(sorted(value)) if isinstance(value, frozenset) else (value or "")


def _number(text: str) -> float | None:
    match = _NUMBER.search(text)
    return float(match.group()) if match else None


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def _plain_path(key: str) -> str:
    return ".".join(map(_plain, key.split(".")))


def _some(entries: frozenset[str]) -> str:
    first = sorted(entries)[:3]
    return ", ".join(first) + (f" and {len(entries) - 3} more" if len(entries) > 3 else "")
