"""Single values: exact money, whole numbers, text, flags, and the spreading of an amount."""

from decimal import Decimal
from random import Random

import pyarrow as pa
import pytest

from analytics_pipeline.transforms.values import (
    COUNT_LIMIT,
    MONEY_LIMIT,
    ZERO,
    count_column,
    decimals,
    flag_column,
    money_column,
    or_zero,
    round_money,
    spread,
    text_column,
)

AMOUNTS = [
    ("19.90", "19.9000"),
    ("0.0001", "0.0001"),
    ("-5", "-5.0000"),
    ("+5", "5.0000"),
    (".5", "0.5000"),
    ("5.", "5.0000"),
    ("-0", "0.0000"),
    ("1.50000", "1.5000"),
    ("1E+2", "100.0000"),
    (7, "7.0000"),
    (Decimal("0.10"), "0.1000"),
    (Decimal("1E+2"), "100.0000"),
    (Decimal("19.990000000000000000000000000000000"), "19.9900"),
    ("99999999999.9999", "99999999999.9999"),
    (None, None),
]
NO_AMOUNTS = [
    "N/A",
    "NaN",
    "Infinity",
    "1,50",
    "1_000",
    "0x10",
    "1.00001",
    "1e-5",
    "1E+9999",
    "100000000000",
    "-100000000000",
    Decimal("0.00005"),
    Decimal("1E+400"),
    10**30,
    True,
    [],
    {"amount": 5},
    "\uff15",
]


@pytest.mark.parametrize("company", [[], ["no amount"]], ids=["all at once", "one by one"])
def test_amounts_are_read_exactly_whatever_stands_beside_them(company: list[object]) -> None:
    column, bad = money_column([*(value for value, _ in AMOUNTS), *company])
    expected = [None if text is None else Decimal(text) for _, text in AMOUNTS]
    assert pa.array(column).to_pylist()[: len(AMOUNTS)] == expected
    assert bad == [len(AMOUNTS)] * len(company)


@pytest.mark.parametrize("value", NO_AMOUNTS, ids=repr)
def test_what_is_no_amount_is_null_and_reported(value: object) -> None:
    column, bad = money_column(["1.00", value, None])
    assert (pa.array(column).to_pylist(), bad) == ([Decimal("1.0000"), None, None], [1])


def test_the_largest_amount_is_just_below_the_limit() -> None:
    largest = MONEY_LIMIT - Decimal("0.0001")
    assert money_column([str(largest), str(-largest)])[1] == []
    assert money_column([str(MONEY_LIMIT), str(-MONEY_LIMIT)])[1] == [0, 1]


def test_whole_numbers_are_read_from_numbers_and_digits() -> None:
    values = [5, -3, "7", " 8 ", "9.0", Decimal("2.0"), None, COUNT_LIMIT - 1]
    column, bad = count_column(values)
    assert (pa.array(column).to_pylist(), bad) == ([5, -3, 7, 8, 9, 2, None, COUNT_LIMIT - 1], [])


@pytest.mark.parametrize("value", [True, "1.5", Decimal("0.5"), "x", [1], COUNT_LIMIT, -COUNT_LIMIT, "1_0", "NaN"])
def test_what_is_no_whole_number_is_null_and_reported(value: object) -> None:
    column, bad = count_column([1, value])
    assert (pa.array(column).to_pylist(), bad) == ([1, None], [1])


def test_texts_and_numbers_are_text_and_an_empty_text_is_null() -> None:
    assert pa.array(text_column(["a", "", None, "b\x00c"])[0]).to_pylist() == ["a", None, None, "b\ufffdc"]
    assert pa.array(text_column([1, 20])[0]).to_pylist() == ["1", "20"]
    column, bad = text_column(["a", 5, Decimal("1.50"), True, {}, ["x"], "", None])
    assert (pa.array(column).to_pylist(), bad) == (["a", "5", "1.50", None, None, None, None, None], [3, 4, 5])


def test_flags_are_read_as_such_as_digits_and_as_text() -> None:
    column, bad = flag_column([True, False, 1, 0, "true", " False ", "1", None, "", "yes", 2])
    assert pa.array(column).to_pylist() == [True, False, True, False, True, False, True, None, None, None, None]
    assert bad == [9, 10]


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.00005", "0.0001"), ("-0.00005", "-0.0001"), ("0.00015", "0.0002"), ("0.000149", "0.0001")],
)
def test_halves_are_rounded_away_from_zero(amount: str, rounded: str) -> None:
    assert round_money(Decimal(amount)) == Decimal(rounded)


def test_null_amounts_become_zero_and_others_stay() -> None:
    assert decimals(or_zero(money_column([None, "1.5"])[0])) == [ZERO, Decimal("1.5000")]


@pytest.mark.parametrize("seed", range(200))
def test_shares_add_up_to_the_amount_exactly_and_are_fair(seed: int) -> None:
    random = Random(seed)  # noqa: S311  # cases, not secrets
    weights = [Decimal(random.randrange(0, 10**6)) / 100 for _ in range(random.randrange(1, 40))]
    amount = Decimal(random.randrange(0, 10**7)) / random.choice([100, 10_000])
    shares = spread(amount, weights)
    assert sum(shares) == amount
    assert all(share == round_money(share) for share in shares)
    if total := sum(weights):
        exact = [amount * weight / total for weight in weights]
        heaviest = weights.index(max(weights))
        allowed = [len(weights) if place == heaviest else 1 for place in range(len(weights))]
        assert all(
            abs(share - fair) <= Decimal("0.00005") * slack
            for share, fair, slack in zip(shares, exact, allowed, strict=True)
        )


def test_what_rounding_leaves_over_goes_to_the_first_of_the_heaviest() -> None:
    assert spread(Decimal(10), [Decimal(1)] * 3) == [Decimal("3.3334"), Decimal("3.3333"), Decimal("3.3333")]
    assert spread(Decimal(1), [Decimal(1), Decimal(2), Decimal(2), Decimal(1)])[1] == Decimal("0.3333")


def test_without_weights_the_first_place_takes_all_and_without_places_there_is_none() -> None:
    assert spread(Decimal("2.50"), [ZERO, ZERO]) == [Decimal("2.50"), ZERO]
    assert spread(Decimal("2.50"), []) == []


def test_whole_numbers_before_decimals_are_amounts_too() -> None:
    amounts, bad = money_column([3, None, Decimal("2.5"), Decimal("0.00001")])
    assert (list(amounts[:3].dropna()), bad) == ([Decimal(3), Decimal("2.5")], [3])
