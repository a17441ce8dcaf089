"""Prices of schema.org's offers: exact, or none and a reason."""

from decimal import Decimal
from typing import Any

import pytest

from analytics_pipeline.sources.pages.prices import AMBIGUOUS, OTHER_CURRENCY, UNREADABLE, amount_of, price_of


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("19.99", "19.99"),
        ("19,99", "19.99"),
        ("1,5", "1.5"),
        ("1.299,00", "1299.00"),
        ("1,299.00", "1299.00"),
        ("1.299.000", "1299000"),
        ("1 299,50 €", "1299.50"),
        ("1'299.50", "1299.50"),
        ("1\u00a0299,50", "1299.50"),
        ("EUR 19.90", "19.90"),
        ("€19,90", "19.90"),
        ("0.500", "0.500"),
        (" 7 ", "7"),
        (7, "7"),
        (Decimal("1.299"), "1.299"),
    ],
)
def test_an_amount_is_read_as_shops_write_it(written: object, amount: str) -> None:
    assert amount_of(written) == (Decimal(amount), None)


@pytest.mark.parametrize("written", ["", "free", "-3", "19,-", "1e3", "12,34,567.00", "1" * 70, True, None, [], {}])
def test_what_is_no_amount_is_none(written: object) -> None:
    assert amount_of(written) == (None, UNREADABLE)


@pytest.mark.parametrize("written", ["1.299", "1,299", "999.999"])
def test_three_digits_behind_a_sign_may_be_thousands_or_decimals(written: str) -> None:
    assert amount_of(written) == (None, AMBIGUOUS)


def test_the_currency_decides_where_it_can() -> None:
    assert amount_of("1,299", 0) == (Decimal(1299), None)
    assert amount_of("12.500", 3) == (Decimal("12.500"), None)
    assert amount_of("12,500", 3) == (None, AMBIGUOUS)


@pytest.mark.parametrize(
    ("offers", "price"),
    [
        ({"price": Decimal("19.90"), "priceCurrency": "EUR"}, "19.90"),
        ([{"price": "19,90"}, {"price": "5"}], "5"),
        ([{"price": "19.90", "priceCurrency": "EUR"}, {"price": "5", "priceCurrency": "USD"}], "19.90"),
        ({"@type": "AggregateOffer", "lowPrice": "5", "highPrice": 9, "offers": [{"price": 7}]}, "5"),
        ({"@type": "AggregateOffer", "offers": [{"price": 7}, {"price": 6}]}, "6"),
        ({"priceSpecification": [{"price": 50, "priceType": "https://schema.org/ListPrice"}, {"price": 40}]}, "40"),
        ({"price": "", "priceSpecification": {"price": 40, "priceCurrency": "eur"}}, "40"),
        ({"availability": "https://schema.org/SoldOut"}, None),
        (None, None),
        ("19.90", None),
    ],
)
def test_the_lowest_offer_in_the_shops_currency_counts(offers: object, price: str | None) -> None:
    assert price_of({"offers": offers}, "EUR") == (price, None)


@pytest.mark.parametrize(
    ("offers", "fault"),
    [
        ({"price": "5", "priceCurrency": "USD"}, OTHER_CURRENCY),
        ([{"price": "5"}, {"price": "soon"}], UNREADABLE),  # who knows whether that one is the lowest
        ({"price": {"value": 9}}, UNREADABLE),
    ],
)
def test_a_price_that_cannot_be_told_has_a_reason(offers: object, fault: str) -> None:
    assert price_of({"offers": offers}, "EUR") == (None, fault)


def test_a_group_without_offers_has_those_of_its_variants() -> None:
    variants: list[dict[str, Any]] = [{"offers": {"price": "9.00"}}, {"offers": {"price": "8.00"}}]
    assert price_of({"hasVariant": variants}, "EUR") == ("8.00", None)
