"""Saying once that time or money runs short. Pure."""

from collections.abc import Sequence

from aicd_brain.loop.turns import Turn
from aicd_core.contracts import MICRO_USD, Left

SHORT = 0.2
"""The part of what was there at first that is little."""
TIME, MONEY = "time", "money"


def warnings(turns: Sequence[Turn], left: Left) -> dict[str, str]:
    """What runs short now and was not warned of before: the name of it, and what to say."""
    first = turns[0].left if turns else left
    before = {name for turn in turns for name in turn.warned}
    found = {}
    if TIME not in before and left.seconds < first.seconds * SHORT:
        found[TIME] = f"About {left.seconds / 60:.0f} minutes are left. Finish what matters most and call done."
    if MONEY not in before and left.micro_usd is not None and left.micro_usd < (first.micro_usd or 0) * SHORT:
        usd = left.micro_usd / MICRO_USD
        found[MONEY] = f"About {usd:.2f} USD of the budget are left. Finish what matters most and call done."
    return found
