"""Characters that no page shows: by Unicode 16's general categories Cc and Cf and its list of ignorable ones.

https://www.unicode.org/reports/tr36/ and, for tag characters, https://www.unicode.org/reports/tr39/.
"""

import re
import unicodedata
from collections import Counter
from typing import Final

from aicd_core.hygiene.kinds import HiddenKind

CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
DIRECTIONS: Final = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
TAGS: Final = r"\U000e0000-\U000e00ff"
IGNORABLE: Final = (
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2028\u2029\u2060-\u2065\u206a-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0100-\U000e0fff"
)
"""Zero-width ones, separators of lines, fillers, variation selectors, annotations and other format characters."""
HIDDEN: Final = re.compile(f"[{CONTROLS}{DIRECTIONS}{TAGS}{IGNORABLE}]")
_RUNS: Final = re.compile(f"[{CONTROLS}{DIRECTIONS}{TAGS}{IGNORABLE}]+")
_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,50}[ -/]{0,5}[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]{0,2000}(?:\x07|\x1b\\|\x9c)|\x1b[@-Z\\-_]"
)
"""Terminal sequences of ECMA-48: CSI, OSC with all it carries, and those of two characters."""
_CLASSES: Final = (
    (re.compile(f"[{CONTROLS}]"), HiddenKind.CONTROL),
    (re.compile(f"[{DIRECTIONS}]"), HiddenKind.DIRECTION),
    (re.compile(f"[{TAGS}]"), HiddenKind.TAG),
)
_JOINERS: Final = "\u200c\u200d"
_STYLES: Final = "\ufe0e\ufe0f"
_SKIN: Final = re.compile("[\U0001f3fb-\U0001f3ff]")
_JOINING_SCRIPTS: Final = range(0x0600, 0x1100)
"""Arabic to Myanmar: scripts in which a joiner decides how a word is written."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_LOOK_ALIKES: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u03bf\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "aeopcyxijsdhlABEKMHOPCTYXIJSovABEZHIKMNOPTYX",
)


def without_hidden(text: str, removed: Counter[HiddenKind]) -> str:
    """The text without terminal sequences and hidden characters; what was taken out is counted.

    Kept: a joiner that its script or an emoji needs, and one selector of an emoji's style.
    """
    text, sequences = _ESCAPES.subn("", text)
    if sequences:
        removed[HiddenKind.TERMINAL] += sequences
    kept: list[str] = []
    at = 0
    for match in HIDDEN.finditer(text):
        if _is_needed(text, match.start()):
            continue
        kept.append(text[at : match.start()])
        if match[0] in "\u2028\u2029":
            kept.append(" ")
        removed[_kind(match[0])] += 1
        at = match.end()
    return "".join((*kept, text[at:]))


def shown_hidden(text: str, removed: Counter[HiddenKind]) -> str:
    """The code with each run of hidden characters named where it stands, so that none is followed unseen."""

    def name(match: re.Match[str]) -> str:
        first = next((i for i in range(match.start(), match.end()) if not _is_needed(text, i)), None)
        if first is None:
            return match[0]
        removed[HiddenKind.IN_CODE] += len(match[0])
        more = f" and {len(match[0]) - 1:,} more" if len(match[0]) > 1 else ""
        return f"<U+{ord(text[first]):04X}{more}>"

    return _RUNS.sub(name, text)


def plain_letters(text: str, removed: Counter[HiddenKind]) -> str:
    """The text with look-alikes in otherwise Latin words made Latin; words of other scripts stay as they are."""
    if text.isascii():
        return text

    def mend(match: re.Match[str]) -> str:
        mended = match[0].translate(_LOOK_ALIKES)
        if mended.isascii() and match[0] != mended and any(letter.isascii() for letter in match[0]):
            removed[HiddenKind.LOOK_ALIKE] += sum(a != b for a, b in zip(match[0], mended, strict=True))
            return mended
        return match[0]

    return _WORD.sub(mend, text)


def _kind(character: str) -> HiddenKind:
    return next((kind for of_kind, kind in _CLASSES if of_kind.match(character)), HiddenKind.INVISIBLE)


def _is_needed(text: str, at: int) -> bool:
    """Whether the hidden character there makes its neighbours what they are."""
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if text[at] in _STYLES:
        return bool(before) and (_is_symbol(before) or before in "#*0123456789")
    if text[at] not in _JOINERS or not before or not after:
        return False
    if before in _STYLES or _SKIN.match(before):
        before = text[at - 2 : at - 1]
    if text[at] == "\u200d" and before and _is_symbol(before) and _is_symbol(after):
        return True
    return all(ord(side) in _JOINING_SCRIPTS and not HIDDEN.match(side) for side in (before, after) if side)


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Sm", "Sk", "Po"} and not HIDDEN.match(character)
