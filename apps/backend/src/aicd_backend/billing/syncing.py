"""Products, meters and prices at Stripe, brought to what the plans file says. A second run writes nothing."""

from dataclasses import dataclass

from aicd_backend.billing.plans import Meter, Plan, Plans
from aicd_backend.billing.stripe_api import MeterAt, PriceAt, StripeApi

SEATS = "seats"


@dataclass(frozen=True)
class WantedPrice:
    """A price that there has to be. `meter` is the name of what it is for, None for seats."""

    lookup_key: str
    product: str
    unit_pico_usd: int
    meter: str | None


def product_of(plan: str) -> str:
    """The id of a plan's product at Stripe."""
    return f"aicd_{plan}"


def lookup_key(plan: str, what: str) -> str:
    """The lookup key of a price: what a plan charges for one unit of a meter, or for a seat (`SEATS`)."""
    return f"aicd_{plan}:{what}"


def wanted_prices(name: str, plan: Plan) -> list[WantedPrice]:
    """The prices of a plan: one for each meter that costs something, and one for seats."""
    product = product_of(name)
    found = [
        WantedPrice(lookup_key(name, meter.name), product, meter.unit_pico_usd, meter.name)
        for meter in plan.meters()
        if meter.unit_pico_usd
    ]
    if plan.seat_micro_usd is not None:
        found.append(WantedPrice(lookup_key(name, SEATS), product, plan.seat_micro_usd * 1_000_000, None))
    return found


async def sync(api: StripeApi, plans: Plans) -> list[str]:
    """Makes and mends what differs; a sentence for each write, none when all was right.

    Nothing is removed: a plan that is taken out of the file may have subscribers still. A changed price is a new one
    under the same lookup key; who subscribed to the old one keeps it.

    Raises:
        StripeFault: Stripe did not do it; running it again goes on.
    """
    told: list[str] = []
    meters = await _sync_meters(api, plans.meters(), told)
    wanted = [price for name, plan in plans.plans.items() for price in wanted_prices(name, plan)]
    for name, plan in plans.plans.items():
        if any(price.product == product_of(name) for price in wanted):
            await _sync_product(api, name, plan, told)
    found = await api.prices([price.lookup_key for price in wanted])
    for price in wanted:
        await _sync_price(api, price, found.get(price.lookup_key), meters, told)
    return told


async def _sync_meters(api: StripeApi, wanted: dict[str, Meter], told: list[str]) -> dict[str, MeterAt]:
    found = await api.meters()
    for name, meter in wanted.items():
        at = found.get(name)
        if at is None:
            found[name] = await api.create_meter(name, meter.title)
            told.append(f"made the meter {name}")
        elif not at.active or at.title != meter.title:
            await api.revive_meter(at, meter.title)
            told.append(f"mended the meter {name}")
    return found


async def _sync_product(api: StripeApi, name: str, plan: Plan, told: list[str]) -> None:
    product_id, title = product_of(name), f"AI-CD: {plan.title}"
    at = await api.product(product_id)
    if at is None:
        await api.create_product(product_id, title, {"aicd_plan": name})
        told.append(f"made the product {product_id}")
    elif at.name != title or not at.active:
        await api.update_product(product_id, title)
        told.append(f"mended the product {product_id}")


async def _sync_price(
    api: StripeApi, wanted: WantedPrice, at: PriceAt | None, meters: dict[str, MeterAt], told: list[str]
) -> None:
    meter = meters[wanted.meter].id if wanted.meter else None
    if at is not None and (at.product, at.unit_pico_usd, at.meter) == (wanted.product, wanted.unit_pico_usd, meter):
        return
    await api.create_price(wanted.product, wanted.lookup_key, wanted.unit_pico_usd, meter)
    if at is not None:
        await api.retire_price(at.id)
    told.append(f"{'changed' if at else 'made'} the price {wanted.lookup_key}")
