"""What carrying out a plan costs its organization, where an installed package charges for it."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from aicd_cli.runtime import Store
from aicd_core.contracts import MICRO_USD
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import JobReport

GROUP = "aicd.prices"
"""Entry points of this group are each an `AskPrice`."""


@dataclass(frozen=True)
class Price:
    """In micro-USD, before credit. Not an estimate where there is one price whatever the work.

    `most_micro_usd` is what an estimate may come to by the job's own limit; None where it has none.
    """

    micro_usd: int
    is_estimate: bool
    most_micro_usd: int | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """As the person reads it who is about to approve."""
        if not self.is_estimate:
            return f"Approving it will cost {_usd(self.micro_usd)}."
        most = self.most_micro_usd
        bound = "" if most is None else f", and by the job's limit {_usd(most)} at most"
        return f"Approving it will cost about {_usd(self.micro_usd)}{bound}."


AskPrice = Callable[[Path | None, Store, JobReport], Awaitable[Price | None]]
"""From a data directory, the open store and a job whose plan waits to its price; None where nothing is charged."""


async def price_of(data_dir: Path | None, store: Store, report: JobReport) -> Price | None:
    """The price of a job's plan that waits for approval; None where none does, or nothing is charged here.

    Raises:
        AicdError: a package that charges does not know.
    """
    if report.job.state is JobState.AWAITING_APPROVAL and report.plan is not None:
        for entry in entry_points(group=GROUP):
            price = await entry.load()(data_dir, store, report)
            if price is not None:
                return price  # type: ignore[no-any-return]
    return None


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / MICRO_USD:,.2f}"
