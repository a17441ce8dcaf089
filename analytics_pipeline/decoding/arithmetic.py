"""The functions of expressions: exact arithmetic of amounts, and JMESPath's own on Decimals.

Amounts are Decimals, whole numbers and texts of digits alike. Nothing rounds but `div`, to 28 digits, and `round`: what
cannot be calculated exactly is a `ValueError`. No message repeats a value.
"""

import decimal
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any

import jmespath.functions
from jmespath.functions import signature

LONGEST_NUMBER = 100
"""Characters of a text that is read as a number."""
MOST_PLACES = 20
NO_NUMBER = "invalid type of a value: arithmetic takes numbers and their digits as text"
_EXACT = Context(prec=200, Emax=999_999, Emin=-999_999, traps=[InvalidOperation, Overflow, Inexact])
_ROUNDING = Context(prec=200, Emax=999_999, Emin=-999_999, traps=[InvalidOperation, Overflow])
_QUOTIENT = Context(prec=28, Emax=999_999, Emin=-999_999, traps=[InvalidOperation, Overflow])
_LARGEST_EXPONENT = 1_000
_OF_NUMBERS = frozenset({"abs", "avg", "ceil", "floor", "max", "min", "sum"})


def add(*amounts: object) -> Decimal | None:
    """Return the sum, None where one of them is none."""
    return _folded(_EXACT.add, amounts)


def sub(amount: object, less: object) -> Decimal | None:
    """Return the difference, None where one of them is none."""
    one, other = number(amount), number(less)
    return None if one is None or other is None else _EXACT.subtract(one, other)


def mul(*factors: object) -> Decimal | None:
    """Return the product, None where one of them is none."""
    return _folded(_EXACT.multiply, factors)


def div(amount: object, by: object) -> Decimal | None:
    """Return the quotient to 28 digits, None where one of them is none."""
    one, other = number(amount), number(by)
    if one is None or other is None:
        return None
    if not other:
        raise ValueError("division by zero")
    return _QUOTIENT.divide(one, other)


def neg(amount: object) -> Decimal | None:
    """Return the amount with the other sign."""
    one = number(amount)
    return None if one is None else _EXACT.minus(one)


def rounded(amount: object, places: object) -> Decimal | None:
    """Return the amount rounded to so many decimals, halves away from zero."""
    one = number(amount)
    if isinstance(places, bool) or not isinstance(places, int) or not 0 <= places <= MOST_PLACES:
        raise ValueError(f"round() takes 0 to {MOST_PLACES} decimals")
    return None if one is None else one.quantize(Decimal(1).scaleb(-places), decimal.ROUND_HALF_UP, _ROUNDING)


def number(value: object) -> Decimal | None:
    """Return an amount as a Decimal, None for what stands for nothing: null, `false`, an empty text.

    Raises:
        ValueError: It is something else.
    """
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    if value is None or value is False:
        return None
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str):
        return _of_text(value)
    raise ValueError(NO_NUMBER)


def _of_text(text: str) -> Decimal | None:
    try:
        found = Decimal(text) if len(text) <= LONGEST_NUMBER else None
    except InvalidOperation:
        if not text.strip():
            return None
        found = None
    if found is None or "_" in text or not text.isascii() or not found.is_finite():
        raise ValueError(NO_NUMBER)
    return found


def _folded(join: Callable[[Decimal, Decimal], Decimal], amounts: Iterable[object]) -> Decimal | None:
    found: Decimal | None = None
    lacks_one = False
    for amount in amounts:
        one = number(amount)
        if one is None:
            lacks_one = True
        else:
            found = one if found is None else join(found, one)
    return None if lacks_one else found


ARITHMETIC: Mapping[str, Callable[..., Decimal | None]] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "neg": neg,
    "round": rounded,
    "number": number,
}
"""Our functions by the names that expressions have for them."""
_ANYTHING: Any = {"types": []}
_MORE: Any = {"types": [], "variadic": True}


class Functions(jmespath.functions.Functions):
    """All functions of expressions: JMESPath's, on Decimals too, which give null for null, and ours."""

    def call_function(self, function_name: str, resolved_args: Iterable[object]) -> object:
        """Call a function by its name; a float that JMESPath makes comes back as Decimal."""
        if function_name in _OF_NUMBERS and list(resolved_args) == [None]:
            return None
        found: object = super().call_function(function_name, resolved_args)
        return Decimal(repr(found)) if isinstance(found, float) else found

    def check(self, name: str, arguments: int) -> None:
        """Raises ValueError where there is no such function, or where it takes another number of arguments."""
        known = self.FUNCTION_TABLE.get(name)
        if known is None:
            raise ValueError(f"there is no function {name}(); there are {', '.join(sorted(self.FUNCTION_TABLE))}")
        expected = known["signature"]
        is_variadic = bool(expected) and expected[-1].get("variadic", False)
        if arguments < len(expected) or (arguments > len(expected) and not is_variadic):
            least = "at least " if is_variadic else ""
            raise ValueError(f"{name}() takes {least}{len(expected)} arguments, not {arguments}")

    def _get_allowed_pytypes(self, types: Any) -> Any:  # noqa: ANN401  # the library's own untyped hook
        allowed, element_types = super()._get_allowed_pytypes(types)  # type: ignore[misc]  # not in the stubs
        with_decimal = [(*group, "Decimal") if "float" in group else group for group in element_types]
        return [*allowed, "Decimal"] if "float" in allowed else allowed, with_decimal

    def _convert_to_jmespath_type(self, pyobject: str) -> str:
        return "number" if pyobject == "Decimal" else super()._convert_to_jmespath_type(pyobject)  # type: ignore[misc]

    @signature(_ANYTHING)
    def _func_to_number(self, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            return None
        try:
            return value if isinstance(value, int | Decimal) else Decimal(str(value).strip())
        except ArithmeticError:
            return None

    @signature(_ANYTHING)
    def _func_to_string(self, value: object) -> object:
        return str(value) if isinstance(value, Decimal) else super()._func_to_string(value)  # type: ignore[misc]

    @signature(_ANYTHING)
    def _func_type(self, value: object) -> object:
        return "number" if isinstance(value, Decimal) else super()._func_type(value)  # type: ignore[misc]

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: list[Any]) -> object:
        return sum(numbers) if all(type(one) is int for one in numbers) else add(*numbers)

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: list[Any]) -> object:
        return div(add(*numbers), len(numbers)) if numbers else None

    @signature({"types": ["number"]})
    def _func_abs(self, amount: Any) -> object:  # noqa: ANN401  # a number of any kind
        return amount.copy_abs() if isinstance(amount, Decimal) else abs(amount)

    @signature({"types": ["number"]})
    def _func_ceil(self, amount: Any) -> object:  # noqa: ANN401  # a number of any kind
        return super()._func_ceil(_of_a_size(amount))  # type: ignore[misc]

    @signature({"types": ["number"]})
    def _func_floor(self, amount: Any) -> object:  # noqa: ANN401  # a number of any kind
        return super()._func_floor(_of_a_size(amount))  # type: ignore[misc]

    @signature(_ANYTHING, _MORE)
    def _func_add(self, *amounts: object) -> object:
        return add(*amounts)

    @signature(_ANYTHING, _ANYTHING)
    def _func_sub(self, amount: object, less: object) -> object:
        return sub(amount, less)

    @signature(_ANYTHING, _MORE)
    def _func_mul(self, *factors: object) -> object:
        return mul(*factors)

    @signature(_ANYTHING, _ANYTHING)
    def _func_div(self, amount: object, by: object) -> object:
        return div(amount, by)

    @signature(_ANYTHING)
    def _func_neg(self, amount: object) -> object:
        return neg(amount)

    @signature(_ANYTHING, _ANYTHING)
    def _func_round(self, amount: object, places: object) -> object:
        return rounded(amount, places)

    @signature(_ANYTHING)
    def _func_number(self, value: object) -> object:
        return number(value)


def _of_a_size(amount: Any) -> Any:  # noqa: ANN401  # a number of any kind
    """Return a number that has not so many digits that a whole number of it would fill the memory."""
    if isinstance(amount, Decimal) and amount.is_finite() and amount.adjusted() > _LARGEST_EXPONENT:
        raise ValueError("a number is too large to be rounded")
    return amount
