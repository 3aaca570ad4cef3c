"""Writes the table of figures into the documents: `python scripts/make_metrics_table.py [--check]`.

It comes from what core declares of processes and of the database. With `--check` nothing is written, and 1 says that
the page is not current.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from aicd_core.monitoring.probes import PROBES
from aicd_core.monitoring.service import UP
from aicd_core.telemetry.metrics import DECLARED

PAGE = Path(__file__).parents[1] / "docs" / "observability.md"
BEGIN = "<!-- generated: scripts/make_metrics_table.py -->"
END = "<!-- end of what is generated -->"


def rows() -> Iterator[str]:
    """The lines of the table."""
    yield "| figure | kind | labels | |"
    yield "| --- | --- | --- | --- |"
    for figure in (UP, *(figure for probe in PROBES for figure in probe.figures)):
        yield f"| `{figure.name}` | of the installation | {labelled(figure.labels)} | {figure.about} |"
    for one in DECLARED:
        yield f"| `{one.name}` | {one.kind} | {labelled(one.labels)} | {one.about} |"


def labelled(names: tuple[str, ...]) -> str:
    """Names of labels as the table shows them."""
    return ", ".join(f"`{name}`" for name in names)


def written(page: str) -> str:
    """The page with its table as it is now."""
    before, _, rest = page.partition(BEGIN)
    table = "\n".join(rows())
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str]) -> int:
    """Writes or checks the page; 1 when it is not current."""
    page = PAGE.read_text()
    wanted = written(page)
    if "--check" not in arguments:
        PAGE.write_text(wanted)
    elif wanted != page:
        print(f"{PAGE} is not current: python scripts/make_metrics_table.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
