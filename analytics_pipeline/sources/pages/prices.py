"""The price of a product out of its offers in schema.org's words, exact or none. Pure.

An amount that may be read in two ways (`1,299`) is none: a price that is wrong by a thousand is worse than one that is
missing and reported.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from analytics_pipeline.tables.shape import MONEY
from analytics_pipeline.transforms.currencies import EXPONENTS

UNREADABLE = "the price of an offer cannot be read"
AMBIGUOUS = "the price of an offer may be read in two ways"
OTHER_CURRENCY = "no offer is in the shop's currency"
_AROUND = re.compile(r"^(?:[A-Z]{3}|[^\w\s.,+-])?\s*(.*?)\s*(?:[A-Z]{3}|[^\w\s.,+-])?$", re.DOTALL)
"""An amount, with a currency's code or sign before or behind it."""
_PLAIN = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_COMMA = re.compile(r"\d+,\d{1,2}", re.ASCII)
_GROUPS = re.compile(r"([1-9]\d{0,2})((?:([.,' ])\d{3})(?:\3\d{3})*)(?:([.,])(\d{1,2}))?", re.ASCII)
_LIST_PRICES = ("ListPrice", "StrikethroughPrice", "SRP", "MSRP")
_LONGEST, _MOST_DIGITS = 60, MONEY.precision
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"})


def price_of(product: Mapping[str, Any], currency: str) -> tuple[str | None, str | None]:
    """Return the lowest price among a product's offers, and what is wrong where there is none but should be.

    Args:
        product: The product; a group without offers of its own has those of its variants.
        currency: The currency of the prices that count; offers that name none count too.
    """
    offers = [*_offers(product.get("offers"))]
    if not offers:
        offers = [offer for one in _listed(product.get("hasVariant")) for offer in _offers(one.get("offers"))]
    named = [(value, code) for offer in offers for value, code in _prices(offer)]
    if not named:
        return None, None
    wanted = [value for value, code in named if code in {None, currency}]
    if not wanted:
        return None, OTHER_CURRENCY
    amounts = []
    for value in wanted:
        amount, fault = amount_of(value, EXPONENTS.get(currency, 2))
        if amount is None:
            return None, fault
        amounts.append(amount)
    return f"{min(amounts):f}", None


def amount_of(value: object, exponent: int = 2) -> tuple[Decimal | None, str | None]:
    """Return an amount as shops write it, and what is wrong where it is none.

    Args:
        value: A number, or a text: `19.99`, `19,99`, `1.299,00`, `EUR 1 299.00`.
        exponent: Decimals of the currency, by which three digits behind a sign are thousands (yen), or decimals
            (dinars).
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None, UNREADABLE
    if not isinstance(value, str):
        return _fitting(Decimal(value))
    whole = _AROUND.match(value.translate(_BLANKS).strip()) if len(value) <= _LONGEST else None
    text = whole[1] if whole else ""
    groups = _GROUPS.fullmatch(text)
    if groups is None:
        is_amount = _PLAIN.fullmatch(text) or _COMMA.fullmatch(text)
        return _fitting(Decimal(text.replace(",", "."))) if is_amount else (None, UNREADABLE)
    first, rest, sign, point, decimals = groups.groups()
    is_short = point is None and sign in ".," and len(rest) == len(".000")
    if is_short and sign == "." and exponent == len("000"):
        return _fitting(Decimal(text))
    if point == sign or (is_short and exponent):
        return None, AMBIGUOUS
    return _fitting(Decimal(first + rest.replace(sign, "") + (f".{decimals}" if decimals else "")))


def _fitting(amount: Decimal) -> tuple[Decimal | None, str | None]:
    if not amount.is_finite() or amount < 0 or abs(amount.adjusted()) > _MOST_DIGITS:
        return None, UNREADABLE
    return amount, None


def _offers(value: object) -> Iterator[Mapping[str, Any]]:
    """Each offer, and those within one that stands for several; of the latter its own lowest price counts."""
    for offer in _listed(value):
        within = _listed(offer.get("offers"))
        if within and offer.get("lowPrice") is None and offer.get("price") is None:
            yield from within
        else:
            yield offer


def _prices(offer: Mapping[str, Any]) -> Iterator[tuple[object, str | None]]:
    """The prices of an offer with their currencies, those apart that are crossed out."""
    code = _code(offer.get("priceCurrency"))
    for value in (offer.get("price"), offer.get("lowPrice")):
        if value is not None and value != "":
            yield value, code
            return
    for part in _listed(offer.get("priceSpecification")):
        kind = part.get("priceType")
        if not (isinstance(kind, str) and kind.endswith(_LIST_PRICES)) and part.get("price") is not None:
            yield part["price"], _code(part.get("priceCurrency")) or code


def _code(value: object) -> str | None:
    return value.strip().upper() if isinstance(value, str) and value.strip() else None


def _listed(value: object) -> list[Mapping[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
