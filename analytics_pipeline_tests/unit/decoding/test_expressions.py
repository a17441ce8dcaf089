"""Expressions: exact arithmetic, `parent`, bounds; what is compiled finds what the library's interpreter does."""

import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_pipeline.decoding.expressions import DEEPEST, LONGEST, compile_expression, interpret
from analytics_pipeline.decoding.mapping import column_reader, compile_path


@pytest.mark.parametrize(
    ("expression", "value", "found"),
    [
        ("sub(subtotal, total)", {"subtotal": "10.10", "total": Decimal("3.3")}, "6.80"),
        ("add(a, b, c)", {"a": 1, "b": "2.5", "c": Decimal("0.001")}, "3.501"),
        ("mul(price, quantity)", {"price": Decimal("10.10"), "quantity": 3}, "30.30"),
        ("mul(price, 0.19)", {"price": "0.1"}, "0.019"),
        ("mul(price, `0.19`)", {"price": "0.1"}, "0.019"),
        ("div(price, 3)", {"price": 10}, "3.333333333333333333333333333"),
        ("div(cents, 100)", {"cents": 1999}, "19.99"),
        ("neg(discount)", {"discount": "-2.50"}, "2.50"),
        ("neg(discount)", {"discount": "0.00"}, "0.00"),
        ("round(x, 2)", {"x": "2.005"}, "2.01"),
        ("round(x, 2)", {"x": "-2.005"}, "-2.01"),
        ("round(x, 0)", {"x": "2.5"}, "3"),
        ("number(text)", {"text": " 7.25 "}, "7.25"),
        ("number('0.12345678901234567890123456789')", {}, "0.12345678901234567890123456789"),
        (
            "sum(items[].mul(price, quantity))",
            {"items": [{"price": "1.1", "quantity": 2}, {"price": 3, "quantity": 1}]},
            "5.2",
        ),
        ("sum(map(&sub(a, b), @))", [{"a": 3, "b": "0.5"}], "2.5"),
        ("avg([x, 0])", {"x": 3}, "1.5"),
        ("avg([x, `0`])", {"x": Decimal("0.3")}, "0.15"),
        ("sum([a, b])", {"a": Decimal("0.1"), "b": Decimal("0.2")}, "0.3"),
        ("discount || 0.5", {}, "0.5"),
        ("[?price>-1.5]|[0].price", [{"price": Decimal("-1.0")}], "-1.0"),
        ("avg([0, x])", {"x": 3}, "1.5"),
        ("items[1].x", {"items": [{}, {"x": Decimal("1.0")}]}, "1.0"),
        ("to_string(x)", {"x": Decimal("1.50")}, None),
    ],
)
def test_arithmetic_is_exact(expression: str, value: object, found: str | None) -> None:
    result = compile_path(expression)(value)
    if found is None:
        assert result == "1.50"
    else:
        assert isinstance(result, Decimal)
        assert str(result) == found


@pytest.mark.parametrize(
    "expression", ["add(a, b)", "sub(b, a)", "mul(a, 2)", "div(a, 2)", "neg(a)", "round(a, 2)", "number(a)"]
)
@pytest.mark.parametrize("nothing", [None, "", "  ", False])
def test_arithmetic_with_nothing_is_null(expression: str, nothing: object) -> None:
    assert compile_path(expression)({"a": nothing, "b": 1}) is None


@pytest.mark.parametrize("value", ["~x~", "1_000", "1,5", "NaN", "Infinity", "٣", [1], {}, True, "9" * 101])
@pytest.mark.parametrize("expression", ["add(a, 1)", "sub(1, a)", "number(a)", "sub(b, a)"])
def test_what_is_no_number_is_an_error_that_does_not_repeat_it(expression: str, value: object) -> None:
    with pytest.raises(ValueError, match="arithmetic takes numbers") as caught:
        compile_path(expression)({"a": value})
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "value", "fault"),
    [
        ("div(a, b)", {"a": 1, "b": 0}, "division by zero"),
        ("div(a, b)", {"a": 0, "b": "0.00"}, "division by zero"),
        ("add(a, b)", {"a": Decimal("1e400"), "b": 1}, "exactly"),
        ("mul(a, a)", {"a": Decimal("1e999999")}, "exactly"),
        ("mul(a, a)", {"a": Decimal("1." + "9" * 1000)}, "exactly"),
        ("mul(a, a)", {"a": Decimal("1e99999999999")}, "exactly"),
        ("round(a, 2)", {"a": Decimal("1e999")}, "exactly"),
        ("round(a, b)", {"a": 1, "b": 21}, "0 to 20 decimals"),
        ("round(a, b)", {"a": 1, "b": True}, "0 to 20 decimals"),
        ("floor(a)", {"a": Decimal("1e99999999999")}, "too large"),
        ("ceil(a)", {"a": Decimal("-1e99999999999")}, "too large"),
        ("sum([a, b])", {"a": Decimal("1e400"), "b": Decimal("0.1")}, "exactly"),
    ],
)
def test_what_cannot_be_calculated_is_an_error_at_once(expression: str, value: object, fault: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=fault):
        compile_path(expression)(value)
    assert time.process_time() - began < 0.5  # seconds, of what takes a thousandth


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("su(a, b)", r"no function su\(\); there are abs, add,"),
        ("a || su(a, b)", r"no function su\(\)"),
        ("items[].{a: su(b)}", r"no function su\(\)"),
        ("sub(a)", r"sub\(\) takes 2 arguments, not 1"),
        ("add(a)", r"add\(\) takes at least 2 arguments, not 1"),
        ("neg(a, b)", r"neg\(\) takes 1 arguments, not 2"),
        ("a" * (LONGEST + 1) + "[0]", "more than 4000 characters"),
        ("!" * (DEEPEST + 1) + "a", "more than 200 levels"),
        ("|".join(["[@, @]"] * 14) + "|[]", "more than 10,000 times larger"),
        ("|".join(["join('', [@, @])"] * 27), "more than 10,000 times larger"),
        ("(" * 1900 + "a" + ")" * 1900, "more than 200 levels"),
        ("a ||", "Incomplete expression"),
        ("{a: 5}", "Invalid jmespath expression|Parse error"),
    ],
)
def test_a_wrong_expression_is_refused_when_it_is_compiled(expression: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        compile_path(expression)


def test_two_hundred_levels_are_looked_up() -> None:
    alternatives = " || ".join(f"a{number}" for number in range(190))
    assert compile_path(alternatives)({"a189": 7}) == 7  # its value


ORDER: dict[str, Any] = {"id": "A", "rate": "0.19", "customer": {"id": 7}, "parent": "the order's own"}
REFUND = {"id": "R", "parent": "the refund's own"}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("parent.id", "R"),
        ("parent.parent.id", "A"),
        ("parent.parent.customer.id", 7),
        ("parent.parent.parent", "the order's own"),
        ("@.parent", "the line's own"),
        ("parent", REFUND),
        ("parent.parent", ORDER),
        ("parent.missing", None),
        ("mul(price, parent.parent.rate)", Decimal("0.3800")),
        ("parent.parent.[id, rate]", ["A", "0.19"]),
        ("parts[].parent", ["the part's own"]),
        ("parts[?name == parent.id].size", [5]),
        ("parts[?name == parent.id] | [0].size", 5),
        ("map(&parent.id, parts)", ["R"]),
        ("parts[].{above: parent.parent.id}", [{"above": "A"}]),
        ("'parent.id'", "parent.id"),
    ],
)
def test_parent_is_the_record_that_holds_the_list_where_a_path_begins_with_it(expression: str, found: object) -> None:
    line = {
        "price": "2.00",
        "parent": "the line's own",
        "parts": [{"name": "R", "size": 5, "parent": "the part's own"}],
    }
    assert compile_path(expression, 2)(line, (REFUND, ORDER)) == found
    assert column_reader(expression, 2)([line, line], [(REFUND, ORDER)] * 2) == [found] * 2
    assert interpret(expression, line, (REFUND, ORDER)) == found


def test_an_order_has_no_parent_but_its_own_field() -> None:
    assert compile_path("parent")(ORDER) == "the order's own"
    assert compile_path("parent.id")({"parent": {"id": 5}}) == 5  # its value
    assert compile_path("parent.parent.id", 1)({}, ({"parent": {"id": 5}},)) == 5  # its value


names = st.sampled_from(["a", "b", "c", "parent", "parent.a", "parent.parent.b", "@", "a.b", "b.parent"])
literals = st.sampled_from(
    ["`1`", "`0`", "`0.5`", "'a'", "'1.50'", "`null`", "`true`", "`[1, 2.5]`", "''", '`{"a": 0.1}`']
)
functions = st.sampled_from(
    ["abs", "avg", "length", "max", "min", "not_null", "sum", "to_number", "to_string", "type", "neg", "number"]
)
comparators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} || {})".format, inner, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} {} {})".format, inner, comparators, inner),
        st.builds("{}({})".format, functions, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["add", "sub", "mul", "div"]), inner, inner),
        st.builds("add({}, {}, -1.5)".format, inner, inner),
        st.builds("round({}, {})".format, inner, st.sampled_from(["0", "2", "`1`"])),
        st.builds("({}) | {}".format, inner, inner),
        st.builds("({})[{}]".format, inner, st.sampled_from(["0", "-1", "*", "", "1:", "::-1"])),
        st.builds("({})[].{}".format, inner, names.filter(lambda name: name != "@")),
        st.builds("({})[?{}]".format, inner, inner),
        st.builds("({})[?{}].{}".format, inner, inner, st.sampled_from(["a", "neg(a)", "[a, parent.b]", "parent"])),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{x: {}, y: {}}}".format, inner, inner),
        st.builds("({}).*".format, inner),
        st.builds("sort_by({}, &{})".format, inner, inner),
        st.builds("map(&{}, {})".format, inner, inner),
    )


expressions = st.recursive(st.one_of(names, literals), _grown, max_leaves=8)
plain_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.decimals(-9, 9, places=2),
    st.sampled_from(["", "a", "1.50", "x", "7"]),
)
records = st.recursive(
    plain_values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c", "parent"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def _outcome(look_up: Any, *arguments: object) -> tuple[str, object]:  # noqa: ANN401  # either way of looking up
    try:
        return "found", repr(look_up(*arguments))  # the types count too: 1 is not true, and not 1.0
    except (ValueError, ArithmeticError, TypeError):
        return "refused", None


def test_compiled_expressions_find_what_the_interpreter_finds() -> None:
    def is_the_same(expression: str, value: object, holders: tuple[object, object]) -> None:
        compiled = _outcome(compile_expression(expression, 2), value, holders)
        assert compiled == _outcome(interpret, expression, value, holders)

    runs = settings(max_examples=400, deadline=None, derandomize=True, database=None)
    runs(given(expressions, records, st.tuples(records, records))(is_the_same))()
