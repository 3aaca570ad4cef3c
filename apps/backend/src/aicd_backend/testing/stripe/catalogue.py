"""Products and prices."""

from collections.abc import Mapping
from decimal import Decimal

from aicd_backend.testing.stripe.books import Books, Thing
from aicd_backend.testing.stripe.params import Wrong


def create_product(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    known = {"active": True, "metadata": {}, "description": None, **sent}
    product_id = known.pop("id", None)
    if product_id in books.things.get("product", {}):
        raise Wrong(f"Product already exists: {product_id}", code="resource_already_exists", param="id")
    return books.add("product", "prod", product_id, **known)


def update_product(books: Books, path: Mapping[str, str], sent: Thing) -> Thing:
    product = books.get("product", path["id"])
    product.update(sent)
    return product


def create_price(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    books.get("product", sent.get("product", ""), "product")
    amount = sent.get("unit_amount_decimal", sent.get("unit_amount"))
    if amount is None or ("unit_amount" in sent and "unit_amount_decimal" in sent):
        raise Wrong("One of unit_amount and unit_amount_decimal is needed.", param="unit_amount")
    exact = Decimal(amount)
    if exact < 0 or -int(exact.normalize().as_tuple().exponent) > 12:
        raise Wrong("Invalid decimal: at most 12 decimal places", param="unit_amount_decimal")
    recurring = {"usage_type": "licensed", "meter": None, "interval_count": 1, **sent.get("recurring", {})}
    if (recurring["usage_type"] == "metered") != (recurring["meter"] is not None):
        raise Wrong("A metered price needs a meter, and only such a one.", param="recurring[meter]")
    if recurring["meter"] is not None:
        books.get("billing.meter", recurring["meter"], "recurring[meter]")
    _take_lookup_key(books, sent)
    whole = int(exact) if exact == int(exact) else None
    told = {"active": True, "metadata": {}, "type": "recurring", "billing_scheme": "per_unit", **sent}
    told |= {"recurring": recurring, "unit_amount": whole, "unit_amount_decimal": format(exact.normalize(), "f")}
    told.pop("transfer_lookup_key", None)
    return books.add("price", "price", **{"lookup_key": None, **told})


def update_price(books: Books, path: Mapping[str, str], sent: Thing) -> Thing:
    price = books.get("price", path["id"])
    _take_lookup_key(books, sent)
    price.update({name: value for name, value in sent.items() if name != "transfer_lookup_key"})
    return price


def filter_prices(_books: Books, price: Thing, sent: Thing) -> bool:
    keys = sent.get("lookup_keys")
    if keys is not None and len(keys) > 10:
        raise Wrong("At most 10 lookup keys.", param="lookup_keys")
    return keys is None or price["lookup_key"] in keys


def _take_lookup_key(books: Books, sent: Thing) -> None:
    key = sent.get("lookup_key")
    for other in books.all("price") if key else ():
        if other["lookup_key"] == key:
            if not sent.get("transfer_lookup_key"):
                raise Wrong(f"A price with the lookup key {key} exists.", param="lookup_key")
            other["lookup_key"] = None
