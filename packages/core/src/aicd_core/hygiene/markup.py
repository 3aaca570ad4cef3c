"""One walk through a Markdown text that leaves out what its page does not show."""

import re
from bisect import bisect_right
from collections import Counter
from typing import Final

from aicd_core.hygiene.characters import plain_letters, shown_hidden, without_hidden
from aicd_core.hygiene.html import TAG, attributes_of, end_of_element, is_hidden, may_hide, with_plain_attributes
from aicd_core.hygiene.kinds import HiddenKind
from aicd_core.hygiene.regions import Region, RegionKind

SPAN_MAX: Final = 2_000
"""Characters within which a code span has to end; a longer one is treated as prose."""
_TITLE: Final = r"""(?:\s{1,50}(?:"[^"]{0,2000}"|'[^']{0,2000}'|\([^()]{0,2000}\)))"""
_LINK: Final = rf"!?\[[^\[\]]{{0,2000}}\]\([ \t]*(?:<[^<>\n]*>|[^\s()<>]*)(?:{_TITLE})?\s{{0,50}}\)"
_TOKEN: Final = re.compile(
    rf"(?P<ticks>`+)|(?P<comment><!--)|(?P<other><\?|<!\[CDATA\[|<![A-Za-z])|(?P<tag>{TAG})|(?P<link>{_LINK})"
    r"|(?P<broken><[!/?A-Za-z])"
)
_ENDS: Final = {"<?": "?>", "<![CDATA[": "]]>"}
_OPENS: Final = re.compile(r"<!--|-->")
_LINK_TITLE: Final = re.compile(rf"{_TITLE}(?=\s*\)$)")
_ALT: Final = re.compile(r"^!\[[^\]]*\s[^\]]*\]")
_DEFINITION: Final = re.compile(r"\[((?:[^\[\]\\]|\\.)+)\]:\s*(<[^<>\n]*>|\S+)")
_LINE_END: Final = re.compile(r"[\r\n]")
_BLANK_LINE: Final = re.compile(r"(?:\r\n|\r|\n)[ \t]*(?=[\r\n])")


class Walk:
    """Goes through the text once; what is left out is counted in `removed`."""

    def __init__(self, text: str, regions: tuple[Region, ...], removed: Counter[HiddenKind]) -> None:
        self._text = text
        self._regions = regions
        self._solid = [region for region in regions if region.kind is not RegionKind.HTML]
        self._starts = [region.start for region in self._solid]
        self._html = [(region.start, region.end) for region in regions if region.kind is RegionKind.HTML]
        self._html_starts = [start for start, _ in self._html]
        self._removed = removed
        self._kept: list[str] = []
        self._doubted = 0
        """Up to there no back-quote opens a code span."""
        self._never: set[str] = set()
        """Ends that do not come any more, so that they are not looked for again."""

    def run(self) -> str:
        """The text without what is hidden."""
        at = 0
        while at < len(self._text):
            region = self._next_region(at)
            limit = region.start if region else len(self._text)
            match = _TOKEN.search(self._text, at, limit)
            if match is not None:
                self._prose(at, match.start())
                at = self._token(match, limit)
            else:
                self._prose(at, limit)
                at = self._region(region) if region else limit
        return "".join(self._kept)

    def _next_region(self, at: int) -> Region | None:
        number = bisect_right(self._starts, at - 1)
        return self._solid[number] if number < len(self._solid) else None

    def _prose(self, start: int, end: int) -> None:
        if start < end:
            plain = without_hidden(self._text[start:end], self._removed)
            self._kept.append(plain_letters(plain, self._removed))

    def _token(self, match: re.Match[str], limit: int) -> int:
        """Keeps or drops what begins there; returns where the walk goes on."""
        if match["ticks"]:
            return self._span(match, limit)
        if match[0][0] == "<" and self._is_escaped(match.start()) and not self._in_html(match.start()):
            self._kept.append("<")
            return match.start() + 1
        if match["comment"]:
            return self._comment(match, limit)
        if match["other"]:
            return self._other(match, limit)
        if match["link"]:
            return self._link(match)
        if match["broken"]:
            return self._broken(match, limit)
        return self._tag(match)

    def _drop(self, kind: HiddenKind, end: int) -> int:
        """A blank in its place keeps what stands around from becoming one."""
        self._removed[kind] += 1
        self._kept.append(" ")
        return end

    def _span(self, match: re.Match[str], limit: int) -> int:
        """A code span stays as it is where every reading of Markdown has it as one: on one line, in no table.

        After a back-quote that belongs to no such span, no other of its paragraph is trusted to open one.
        """
        start, ticks = match.start(), match["ticks"]
        end = None if start < self._doubted else self._span_end(match, limit)
        if end is not None:
            self._kept.append(without_hidden(self._text[start:end], self._removed))
            return end
        if start >= self._doubted:
            blank = _BLANK_LINE.search(self._text, match.end(), limit)
            self._doubted = blank.end() if blank else limit
        self._kept.append(ticks)
        return match.end()

    def _span_end(self, match: re.Match[str], limit: int) -> int | None:
        """Where the span that begins there ends; None when it may be none."""
        if self._is_escaped(match.start()) or self._in_html(match.start()):
            return None
        most = min(limit, match.end() + SPAN_MAX)
        line_end = _LINE_END.search(self._text, match.end(), most)
        end = line_end.start() if line_end else most
        closing = re.compile(rf"(?<!`){match['ticks']}(?!`)").search(self._text, match.end(), end)
        if closing is None or "|" in self._text[match.end() : closing.start()]:
            return None
        return closing.end()

    def _is_escaped(self, at: int) -> bool:
        before = self._text[max(0, at - 100) : at]
        return (len(before) - len(before.rstrip("\\"))) % 2 == 1

    def _in_html(self, at: int) -> bool:
        number = bisect_right(self._html_starts, at) - 1
        return number >= 0 and at < self._html[number][1]

    def _comment(self, match: re.Match[str], limit: int) -> int:
        """What may be no comment in another reading, and then would hide what follows, takes all of it along."""
        end = self._comment_end(match.end(), limit)
        inside = self._text[match.end() : end]
        doubtful = inside.startswith((">", "->")) or not self._in_html(match.start())
        if doubtful and "<" in inside and may_hide(inside):
            end = len(self._text)
        return self._drop(HiddenKind.COMMENT, end)

    def _comment_end(self, at: int, limit: int) -> int:
        """Where a comment ends: nested ones end together if they can; one that never ends takes all up to `limit`."""
        depth, first = 1, limit
        for match in _OPENS.finditer(self._text, at, limit):
            if match[0] == "<!--":
                depth += 1
                continue
            depth -= 1
            first = min(first, match.end())
            if depth == 0:
                return match.end()
        return first

    def _other(self, match: re.Match[str], limit: int) -> int:
        """Instructions, declarations and character data of HTML; one that never ends is prose, but in raw HTML."""
        opener = match["other"]
        closer = _ENDS.get(opener, ">")
        end = -1 if closer in self._never else self._text.find(closer, match.end(), limit)
        if end < 0:
            self._never.add(closer)
            if self._in_html(match.start()):
                return self._drop(HiddenKind.COMMENT, limit)
            self._kept.append(opener)
            return match.end()
        doubtful = may_hide(self._text[match.end() : end])  # browsers end it at the first `>`
        return self._drop(HiddenKind.COMMENT, len(self._text) if doubtful else end + len(closer))

    def _broken(self, match: re.Match[str], limit: int) -> int:
        """What is no tag is text; but in raw HTML a browser hides all of it up to the next `>`."""
        if not self._in_html(match.start()):
            self._kept.append(match["broken"])
            return match.end()
        found = self._text.find(">", match.end(), limit)
        end = limit if found < 0 else found + 1
        if may_hide(self._text[match.start() : end]):
            end = len(self._text)
        return self._drop(HiddenKind.COMMENT, end)

    def _tag(self, match: re.Match[str]) -> int:
        name, attributes = match["name"].lower(), attributes_of(match["attributes"])
        if not match["slash"] and is_hidden(name, attributes):
            end = end_of_element(self._text, name, match.end(), self._in_solid, self._in_html)
            return self._drop(HiddenKind.ELEMENT, end)
        plain, wordy = with_plain_attributes(match[0], match["attributes"], attributes)
        if wordy:
            self._removed[HiddenKind.ATTRIBUTE] += wordy
        self._kept.append(without_hidden(plain, self._removed))
        return match.end()

    def _in_solid(self, at: int) -> bool:
        number = bisect_right(self._starts, at) - 1
        return number >= 0 and at < self._solid[number].end

    def _link(self, match: re.Match[str]) -> int:
        """A link's title and an image's description of several words are not on the page."""
        whole = match["link"]
        plain, titles = _LINK_TITLE.subn("", whole)
        plain, descriptions = _ALT.subn("![]", plain)
        if not titles + descriptions:
            # The text of a link is prose, with markup of its own.
            self._kept.append(whole[: whole.index("[") + 1])
            return match.start() + whole.index("[") + 1
        self._removed[HiddenKind.ATTRIBUTE] += titles + descriptions
        self._kept.append(without_hidden(plain, self._removed))
        return match.end()

    def _region(self, region: Region) -> int:
        text = self._text[region.start : region.end]
        if region.kind is RegionKind.DEFINITION:
            self._kept.append(self._definition(text))
            return region.end
        language = region.info.split()[0] if region.info else ""
        if region.info != language:
            self._removed[HiddenKind.ATTRIBUTE] += 1
            text = text.replace(region.info, language, 1)
        self._kept.append(shown_hidden(text, self._removed))
        return region.end

    def _definition(self, text: str) -> str:
        """A definition without its title, if the text uses it at all."""
        match = _DEFINITION.search(text)
        label = match[1] if match else ""
        if match is None or self._text.lower().count(f"[{label.lower()}]") < 2:
            self._removed[HiddenKind.DEFINITION] += 1
            return "\n"
        rest = text[match.end() :]
        if rest.strip():
            self._removed[HiddenKind.ATTRIBUTE] += 1
            rest = "\n"
        return without_hidden(text[: match.end()], self._removed) + rest
