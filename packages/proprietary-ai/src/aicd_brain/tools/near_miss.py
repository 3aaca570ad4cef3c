"""Where a text that was to be replaced nearly occurs. Pure."""

import difflib

MAX_LINES = 5_000
"""Of the file that is searched; a longer one gets no help."""
MAX_WANTED = 30
"""Lines of what is wanted that vote for a place."""
LIKE_ENOUGH = 0.6
CONTEXT = 1


def near_miss(content: str, old: str) -> str:
    """The place in the content that is most like `old`, with its line numbers; or that there is none."""
    lines, wanted = content.splitlines(), old.strip("\n").splitlines()
    if not wanted or not lines or len(lines) > MAX_LINES:
        return "No place in the file is like it. View the file."
    start = _best(lines, wanted)
    window = lines[start : start + len(wanted)]
    likeness = difflib.SequenceMatcher(None, "\n".join(window), "\n".join(wanted), autojunk=False).ratio()
    if likeness < LIKE_ENOUGH:
        return "No place in the file is like it. View the file."
    same_words = ["".join(line.split()) for line in window] == ["".join(line.split()) for line in wanted]
    hint = "It differs only in white space:" if same_words else "The nearest place is:"
    first = max(0, start - CONTEXT)
    shown = lines[first : start + len(wanted) + CONTEXT]
    return f"{hint}\n" + "\n".join(f"{number}\t{line}" for number, line in enumerate(shown, first + 1))


def _best(lines: list[str], wanted: list[str]) -> int:
    """The index from which the lines are most like those that are wanted, by how many of them occur there.

    Each wanted line is matched by itself and votes for the place where the whole would begin, so a file of n lines
    takes n steps, not n times the length of what is wanted.
    """
    votes: dict[int, float] = {}
    stripped = [line.strip() for line in lines]
    places: dict[str, list[int]] = {}
    for number, line in enumerate(stripped):
        places.setdefault(line, []).append(number)
    for offset, line in enumerate(wanted[:MAX_WANTED]):
        key = line.strip()
        near = [key] if key in places else difflib.get_close_matches(key, places, n=1, cutoff=LIKE_ENOUGH)
        for match in near if key else []:
            weight = 1 / len(places[match])
            for number in places[match]:
                votes[max(0, number - offset)] = votes.get(max(0, number - offset), 0) + weight
    return max(votes, key=lambda start: (votes[start], -start), default=0)
