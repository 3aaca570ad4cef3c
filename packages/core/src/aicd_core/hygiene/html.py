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
_LINE_END: Final = re.compile(r"[\r\n]")
_NEXT: Final = re.compile(rf"<!--|{TAG}|<[!?/A-Za-z]|`")
"""A comment, a tag, what is neither and ends at the next `>`, or a back-quote."""
DEEPEST: Final = 100
"""Elements inside of one another that are looked through."""
SPECIAL: Final = frozenset(
    (
        *("address", "article", "aside", "blockquote", "center", "dd", "details", "dir", "div", "dl", "dt", "fieldset"),
        *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "li"),
        *("main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead"),
        *("tr", "ul"),
    )
)
"""Elements that the end of another one inside of which they stand does not close (HTML, section 13.2.6.4.7)."""
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


def may_hide(broken: str) -> bool:
    """Whether what is no whole tag may still make a browser hide what follows it."""
    return bool(re.search(rf"hidden|style|{'|'.join(sorted(UNSEEN))}", broken, re.IGNORECASE))


def end_of_element(text: str, name: str, at: int, is_code: Callable[[int], bool], is_raw: Callable[[int], bool]) -> int:
    """Where an element ends whose tag ends at `at`; one that is never closed goes on to the end of the text.

    A tag within a comment is none, and a comment that never ends is the end of all. A closing tag counts on the same
    line or in raw HTML: elsewhere it may stand in a paragraph that began inside the element, where browsers ignore it.

    Args:
        is_code: tells of an offset whether it lies in a code block, where tags are none.
        is_raw: whether it lies in a block of raw HTML.
    """
    if name in VOID:
        return at
    line_end = _LINE_END.search(text, at)
    line = line_end.start() if line_end else len(text)
    opened = [name]
    while match := _NEXT.search(text, at):
        at = match.end()
        raw = is_raw(match.start())
        if is_code(match.start()) or (text[match.start() - 1] == "\\" and not raw):
            continue
        if match["name"] is None:
            at = _after_other(text, match, raw=raw)
        elif not match["slash"]:
            opened += [] if match["name"].lower() in VOID else [match["name"].lower()]
        elif (left := _closed(opened, match["name"].lower())) or match.start() < line or raw:
            del opened[left:]
            if not opened:
                return at
    return len(text)


def _after_other(text: str, match: re.Match[str], *, raw: bool) -> int:
    """Where what is no tag ends; outside of raw HTML it may be text, or hide the end of the element, and so all."""
    if not raw and match[0] in {"<!", "<?", "`"}:
        return len(text)
    if match[0] == "`" or (not raw and match[0] != "<!--"):
        return match.end()
    end = "-->" if match[0] == "<!--" else ">"
    ended = text.find(end, match.end())
    return ended + len(end) if ended >= 0 else len(text)


def _closed(opened: list[str], name: str) -> int:
    """How many elements stay open when this one is closed; all, where a browser ignores the closing tag."""
    for place in range(len(opened) - 1, max(-1, len(opened) - 1 - DEEPEST), -1):
        if opened[place] == name:
            return place
        if opened[place] in SPECIAL and name not in SPECIAL:
            break
    return len(opened)


def with_plain_attributes(tag: str, text: str, attributes: Mapping[str, str]) -> tuple[str, int]:
    """The tag without attributes that hold text, and how many of those had several words."""
    dropped = {name: value for name, value in attributes.items() if value and name not in TOLD}
    if not dropped:
        return tag, 0
    kept = "".join(
        f' {name}="{value}"' if value else f" {name}" for name, value in attributes.items() if name not in dropped
    )
    return tag.replace(text, kept, 1), sum(bool(re.search(r"\s", value)) for value in dropped.values())
