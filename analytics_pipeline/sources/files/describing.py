"""The first lines of a description, from what a file seems to be; what is unsure is a comment beside its line."""

import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analytics_pipeline.plain import counted
from analytics_pipeline.sources.files.adding_up import Sum
from analytics_pipeline.sources.files.guessing import Guess
from analytics_pipeline.sources.files.roles import Role

UNSURE = "unsure: "
"""Begins each comment that a person has to look at."""
_ZONE, _CURRENCY, _FIRST_DAY = "Europe/Berlin", "EUR", "2020-01-01"
_OF_ORDERS: tuple[Role, ...] = (
    "order_id",
    "created_at",
    "cancelled_at",
    "currency",
    "customer_id",
    "email",
    "country",
    "shipping_country",
    "payment_method",
    "discount_codes",
    "order_discount",
    "shipping",
    "taxes",
    "total",
)
_OF_LINES: tuple[Role, ...] = (
    "line_id",
    "product_id",
    "title",
    "quantity",
    "unit_price",
    "line_total",
    "discount",
    "tax",
)
_FALLBACKS: Mapping[Role, str] = {"created_at": "date", "quantity": "`1`", "product_id": "'all'", "unit_price": "price"}
"""What stands for a column that was not found: a constant, or the name that it should have."""
_LEFT_OUT: Mapping[Role, tuple[str, str]] = {
    "customer_id": ("customer", "a sale to a guest"),
    "unit_price": ("price", "in quarantine"),
    "line_total": ("price", "in quarantine"),
}
"""What a row lacks that is left out for it, and what it is otherwise."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "parent"})
_WIDTH = 44


def description_text(guess: Guess, name: str, folder: str, pattern: str) -> str:
    """Return a description of a shop that is read from files like the one that was looked at.

    Args:
        guess: What the file seems to be.
        name: The shop's name.
        folder: Where the files lie.
        pattern: Which of them are orders.
    """
    read, name_of_file = guess.encoding or guess.reading["format"], _on_one_line(guess.path.name)
    lines = [
        f"# A shop that is read from files, begun from {name_of_file} ({counted(guess.rows, 'row')}, {read}).",
        f"# Look over every line marked `{UNSURE.strip(': ')}`, then: analytics-pipeline shop check {name}",
        *(f"# {UNSURE}{_on_one_line(words)}" for about, words in guess.doubts if not about),
        f"name: {name}",
        _line("timezone", _ZONE, f"{UNSURE}its midnights bound the business days"),
        _line("currency", guess.currency or _CURRENCY, None if guess.currency else f"{UNSURE}nothing tells it"),
        _line("first_day", guess.first_day or _FIRST_DAY, "the first day in the file"),
    ]
    if guess.has_times:
        times = "{format: iso8601, without_offset: local}"
        lines.append(_line("times", times, f"{UNSURE}stamps are taken for the shop's own clock, and not for UTC"))
    lines += [
        "files:",
        _line("  folder", _quoted(folder), "from the project folder on; absolute, or s3://bucket/prefix"),
    ]
    lines += ["orders:", _line("  files", _quoted(pattern), "which files of the folder; * stands for any letters")]
    lines += _reading(guess)
    lines += _rules(guess)
    lines += ["  fields:", *_fields(guess, _OF_ORDERS, "    ")]
    lines += ["  lines:", "    fields:", *_fields(guess, _OF_LINES, "      ")]
    of_prices = {"line_total"} if "unit_price" in guess.roles else set[str]()
    read_names = {name for role, name in guess.roles.items() if role not in of_prices}
    unused = [column.name for column in guess.columns if column.name not in read_names]
    if unused:
        lines.append(f"# Columns that nothing reads: {_on_one_line(', '.join(unused))}")
    return "\n".join(lines) + "\n"


def expression_of(column: str) -> str:
    """The path by which a column is read: its name, in the quotes of JMESPath where it is no plain word."""
    return column if _PLAIN.fullmatch(column) and column not in _RESERVED else json.dumps(column, ensure_ascii=False)


def pattern_of(name: str) -> str:
    """A pattern for the files that come after one: digits in its name are taken for a day or number."""
    return re.sub(r"\d+([-_.]?\d+)*", "*", glob.escape(name))


def _reading(guess: Guess) -> Iterator[str]:
    """The keys that say how the file is read."""
    doubts = {key: [words for about, words in guess.doubts if about == key] for key in ("numbers", "dates")}
    shown = dict(guess.reading)
    if doubts["numbers"]:
        shown.setdefault("numbers", {"decimal": "."})
    if doubts["dates"]:
        shown.setdefault("dates", "iso")
    for key, value in shown.items():
        if key == "columns":
            yield from ["  columns:"] if value else []
            yield from (f"    {_quoted(name)}: {kind}" for name, kind in value.items())
        else:
            yield _line(f"  {key}", _flow(value), _unsure(doubts.get(key, [])))


def _rules(guess: Guess) -> Iterator[str]:
    """What is left out, and what is taken back.

    Where each row is an order, one that lacks its customer or price is left out, as most do with such a table. Where
    several rows are, a guest's order is none less, and one without a price is not known as a whole: quarantine.
    """
    if "order_id" not in guess.roles:
        empty = {column.name: column.empty for column in guess.columns if column.empty}
        lacking = [(role, guess.roles[role]) for role in _LEFT_OUT if guess.roles.get(role) in empty]
        yield from ["  exclude:"] if lacking else []
        for role, column in lacking:
            without, otherwise = _LEFT_OUT[role]
            rule = _quoted(f"{expression_of(column)} == `null`")
            rows = counted(empty[column], "row")
            yield f"    # {UNSURE}{rows} without a {without}: left out by this rule, else {otherwise}"
            yield f"    - {{when: {rule}, reason: without_{without}}}"
    if guess.negative:
        rule = _quoted(f"to_number({expression_of(guess.roles['quantity'])}) < `0`")
        yield f"  # {UNSURE}{counted(guess.negative, 'row')} with a quantity below zero: taken for goods that came back"
        yield f"  returns_when: {rule}"


def _fields(guess: Guess, roles: Sequence[Role], indent: str) -> Iterator[str]:
    for role in roles:
        doubts = [words for about, words in guess.doubts if about == role]
        column = guess.roles.get(role)
        if column is None and (role not in _FALLBACKS or (role == "unit_price" and "line_total" in guess.roles)):
            if doubts:
                yield f"{indent}# {role}:  {_on_one_line(_unsure(doubts) or '')}"
            continue
        if role == "line_total" and "unit_price" in guess.roles:
            continue
        path = expression_of(column) if column is not None else _FALLBACKS[role]
        if role == "product_id" and column is not None and "title" in guess.roles and _is_empty(guess, column):
            path = f"{path} || {expression_of(guess.roles['title'])}"
        if role == "total" and guess.sum is not None:
            yield from _of_sum(guess.sum, indent)
        yield _line(f"{indent}{role}", _quoted(path), _unsure(doubts))


def _of_sum(total: Sum, indent: str) -> Iterator[str]:
    """What the orders' totals say about the amounts above."""
    yield f"{indent}# {total.matching} of {total.orders} orders add up to their total"
    if total.includes_tax:
        yield f"{indent}prices_include_tax: {_quoted('`true`')}"


def _is_empty(guess: Guess, column: str) -> bool:
    return any(one.empty for one in guess.columns if one.name == column)


def _unsure(doubts: Sequence[str]) -> str | None:
    return f"{UNSURE}{'; '.join(doubts)}" if doubts else None


def _line(key: str, value: object, comment: str | None) -> str:
    line = f"{key}: {value}"
    return line if comment is None else f"{line:{_WIDTH}}  # {_on_one_line(comment)}"


def _on_one_line(comment: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(comment.split()))


def _quoted(text: str) -> str:
    """A text of YAML: bare where it is a plain word, else in quotes, single ones around what has double ones."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return (
        f"'{text}'" if '"' in text and "'" not in text and text.isprintable() else json.dumps(text, ensure_ascii=False)
    )


def _flow(value: Any) -> str:  # noqa: ANN401  # any value of the keys of reading
    """A value of YAML on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)
