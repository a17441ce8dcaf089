"""json-server 0.17: a file of records as an API, the answer itself the list, without credentials.

Windows are inclusive texts compared as texts, a count stands in a header with every page, `Link` comes only with
`_page`, and parameters that no record has are passed over. The records' own fields are a small shop's: cancelled is a
status without a date.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from analytics_pipeline.demo_shop.model import Order
from analytics_pipeline.demo_shop.records import customer_record, order_record, product_record
from analytics_pipeline_tests.dialects.base import Answer, Call, Dialect, Handler, Record

_OWN = frozenset({"_page", "_limit", "_sort", "_order", "_start", "_end", "q", "_embed", "_expand"})
_PAGE = 10
_COMPARED: dict[str, Callable[[str, str], bool]] = {
    "_gte": lambda value, bound: value >= bound,
    "_lte": lambda value, bound: value <= bound,
    "_ne": lambda value, bound: value != bound,
}


class JsonServer(Dialect):
    """`/orders`, `/customers` and `/products` of a `db.json`."""

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/orders"): lambda call: _listed(call, self.shown(self.order)),
            ("GET", "/customers"): lambda call: _listed(call, [customer_record(one) for one in self.shop.customers()]),
            ("GET", "/products"): lambda call: _listed(call, [product_record(one) for one in self.shop.products()]),
        }

    def check(self, call: Call) -> None:
        """Everybody may ask."""

    def order(self, order: Order) -> Record:
        """An order: the demo shop's own record with a status in place of flags and of the day of the cancellation."""
        record = order_record(order)
        del record["cancelled_at"], record["is_test"]
        status = "test" if order.is_test else "cancelled" if order.cancelled_at else "placed"
        return {**record, "status": status}


def _listed(call: Call, records: Sequence[Record]) -> Answer:
    found = [one for one in records if all(_fits(one, name, value) for name, value in call.query)]
    if by := call.params.get("_sort"):
        found.sort(key=lambda one: str(one.get(by)), reverse=call.params.get("_order") == "desc")
    total, headers = len(found), dict[str, str]()
    page, limit = call.params.get("_page"), call.params.get("_limit")
    if page is not None:
        number = max(_whole(page, 1), 1)
        size = _whole(limit, _PAGE)
        pages = -(-total // size)
        places = {"first": 1, "prev": number - 1, "next": number + 1, "last": pages}
        links = {name: place for name, place in places.items() if pages > 1 and 1 <= place <= pages}
        headers["Link"] = ", ".join(f'<{_url(call, place)}>; rel="{name}"' for name, place in links.items())
        found = found[(number - 1) * size : number * size]
    elif limit is not None:
        start = _whole(call.params.get("_start"), 0)
        found = found[start : start + _whole(limit, _PAGE)]
    if page is not None or limit is not None:
        headers["X-Total-Count"] = str(total)
        headers["Access-Control-Expose-Headers"] = "X-Total-Count, Link"
    return Answer(found, headers=headers)


def _url(call: Call, page: int) -> str:
    query = [(name, value) for name, value in call.query if name != "_page"]
    return f"{call.url.partition('?')[0]}?{urlencode([*query, ('_page', page)])}"


def _fits(record: Record, name: str, value: str) -> bool:
    if name in _OWN:
        return True
    end = next((end for end in _COMPARED if name.endswith(end)), "")
    field = name.removesuffix(end)
    if field not in record:
        return True
    shown: Any = record[field]
    return _COMPARED[end](str(shown), value) if end else str(shown) == value


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default
