"""Where a symbolic link of a tree leads, without looking at any disk. Pure."""

from collections.abc import Mapping

_MAX_HOPS = 40  # Linux's own limit: https://man7.org/linux/man-pages/man7/path_resolution.7.html


def leads_out(path: str, links: Mapping[str, str]) -> bool:
    """Whether opening the link `path` could end outside of the tree.

    Args:
        path: a link of the tree, `/`-separated.
        links: the target of every link of the tree, by path, `path` among them.

    Returns:
        True as soon as one step is absolute or climbs above the root; a loop leads nowhere: False.
    """
    here: list[str] = []
    pending = path.split("/")[::-1]
    hops = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return True
            here.pop()
            continue
        target = links.get("/".join([*here, part]))
        if target is None:
            here.append(part)
            continue
        hops += 1
        if target.startswith("/"):
            return True
        if hops > _MAX_HOPS:
            return False
        pending.extend(target.split("/")[::-1])
    return False
