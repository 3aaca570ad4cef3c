"""HTML inside of Markdown: which elements a page does not show, and what of a tag is told."""

import re
from collections.abc import Callable, Mapping
from typing import Final

TAG: Final = (
    r"<(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*+)"
    r"""(?P<attributes>(?:\s++[^\s"'=<>`/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'=<>`]++))?)*+)\s*+/?>"""
)
"""An opening or closing tag as CommonMark 0.31, section 6.6, has it."""
_ATTRIBUTE: Final = re.compile(r"""\s+([^\s"'=<>`/]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")
UNSEEN: Final = frozenset(("audio", "iframe", "noscript", "picture", "script", "style", "svg", "template", "video"))
"""Elements whose text is on no page: programs, styles, and what stands in for a picture or a film."""
VOID: Final = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_UNSEEN_STYLE: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0|font-size\s*:\s*0|color\s*:\s*transparent"
    r"|(?:width|height|max-width|max-height)\s*:\s*[01](?:px)?\s*(?:;|$)|text-indent\s*:\s*-|clip(?:-path)?\s*:",
    re.IGNORECASE,
)
TOLD: Final = frozenset(("href", "src"))
"""The only attributes with a value that a model is told."""


def attributes_of(text: str) -> Mapping[str, str]:
    """The attributes of a tag, names in lower case; one without a value has an empty one."""
    return {name.lower(): value.strip("\"'") for name, value in _ATTRIBUTE.findall(text)}


def is_hidden(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element with all that is in it is on no page."""
    if name in UNSEEN or "hidden" in attributes:
        return True
    return bool(_UNSEEN_STYLE.search(attributes.get("style", ""))) or attributes.get("type", "").lower() == "hidden"


def end_of_element(text: str, name: str, at: int, is_code: Callable[[int], bool]) -> int:
    """Where an element ends whose tag ends at `at`; one that is never closed goes on to the end of the text.

    A tag within a comment is none, and a comment that never ends is the end of all.

    Args:
        is_code: tells of an offset whether it lies in a code block, where tags are none.
    """
    if name in VOID:
        return at
    depth, comment = 1, re.compile(r"-->|\Z")
    tags = re.compile(rf"<(?:!--|(/?){name}(?=[\s/>])[^<>]*>?)", re.IGNORECASE)
    while depth and (match := tags.search(text, at)):
        at = match.end()
        if is_code(match.start()):
            continue
        if match[0] == "<!--":
            ended = comment.search(text, at)
            at = ended.end() if ended else len(text)
            continue
        depth += -1 if match[1] else 1
    return len(text) if depth else at


def with_plain_attributes(tag: str, text: str, attributes: Mapping[str, str]) -> tuple[str, int]:
    """The tag without attributes that hold text, and how many of those had several words."""
    dropped = {name: value for name, value in attributes.items() if value and name not in TOLD}
    if not dropped:
        return tag, 0
    kept = "".join(
        f' {name}="{value}"' if value else f" {name}" for name, value in attributes.items() if name not in dropped
    )
    return tag.replace(text, kept, 1), sum(bool(re.search(r"\s", value)) for value in dropped.values())
