"""Text from strangers, freed of what a person who looks at the issue's page does not see. Pure."""

from collections import Counter

from aicd_core.hygiene.characters import plain_letters, without_hidden
from aicd_core.hygiene.kinds import Cleaned, HiddenKind, told
from aicd_core.hygiene.markup import Walk
from aicd_core.hygiene.regions import find_regions

MOST_PASSES = 8

__all__ = ["Cleaned", "HiddenKind", "clean", "clean_line", "told"]


def clean(text: str) -> Cleaned:
    """The Markdown as a model may see it, and what was taken out of it, by kind.

    Outside of code blocks: hidden comments and HTML elements go, also nested or never ended ones, together with
    attributes, image descriptions and link titles of several words, definitions of links that no text uses, characters
    without a glyph and terminal sequences; Cyrillic and Greek look-alikes in Latin words become Latin letters. In code
    blocks everything that is visible stays, and a character that is not is shown as `<U+200B>`: such a diff cannot be
    applied from there any more, so its exact bytes are to be taken from the text as it came (`Task.diffs`).

    What a removal brings together is looked at again: cleaning a second time changes nothing.
    """
    removed: Counter[HiddenKind] = Counter()
    for _ in range(MOST_PASSES):
        before = text
        text = _pass(text, removed)
        if text == before:
            break
    return Cleaned(text, removed)


def clean_line(text: str) -> Cleaned:
    """The same for a title: one line, which a page shows without reading Markdown in it."""
    removed: Counter[HiddenKind] = Counter()
    return Cleaned(plain_letters(without_hidden(text, removed), removed), removed)


def _pass(text: str, removed: Counter[HiddenKind]) -> str:
    regions = find_regions(text)
    return Walk(text, regions, removed).run()
