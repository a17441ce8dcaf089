"""The demo shop's HTTP API: what its paths answer, and what its faults do to an answer."""

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from analytics_pipeline.demo_shop.misbehaviour import Fault
from analytics_pipeline.demo_shop.model import Customer, Order, Product
from analytics_pipeline.demo_shop.pages import page_routes
from analytics_pipeline.demo_shop.paging import Page, ParameterError, Query, Record, page_of, read_query
from analytics_pipeline.demo_shop.records import customer_record, order_record, product_record, to_json
from analytics_pipeline.demo_shop.report import MOST_DAYS, daily_report
from analytics_pipeline.demo_shop.shop import EARLIEST, LATEST, DemoShop

_T = TypeVar("_T", bound=Record)
_NEW_FIELD = b'{"loyalty_tier":"gold",'


class CutResponse(Response):
    """Says how long the whole body is, sends two thirds of it, and lets the server close the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, but not to the end."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) * 2 // 3], "more_body": True})


def create_app(shop: DemoShop) -> Starlette:
    """The API of a demo shop; the shop itself is at `app.state.shop`."""
    lists: list[ListEndpoint[Any]] = [
        ListEndpoint(
            shop, "orders", order_record, partial(_find_orders, shop), ("created_from", "created_to", "updated_since")
        ),
        ListEndpoint(shop, "customers", customer_record, partial(_find_customers, shop), ("updated_since",)),
        ListEndpoint(shop, "products", product_record, partial(_find_products, shop), ("updated_since",)),
    ]
    app = Starlette(
        routes=[
            Route("/shop", _shop),
            Route("/reports/daily", _report),
            *(Route(f"/{endpoint.name}", endpoint.answer) for endpoint in lists),
            *page_routes(),
            Route("/orders", _place, methods=["POST"]),
            Route("/orders/{order_id}", _edit, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _refused, ParameterError: _refused},
    )
    app.state.shop = shop
    return app


class ListEndpoint(Generic[_T]):
    """One list of the API.

    `find` gives the records that a window's moments choose, ascending by id; `show` gives one record's JSON object.
    """

    def __init__(
        self,
        shop: DemoShop,
        name: str,
        show: Callable[[_T], dict[str, Any]],
        find: Callable[[Mapping[str, datetime]], Sequence[_T]],
        window: tuple[str, ...],
    ) -> None:
        self.name = name
        self._shop = shop
        self._show = show
        self._find = find
        self._window = frozenset(window)
        self._shown: dict[tuple[str, datetime], bytes] = {}

    async def answer(self, request: Request) -> Response:
        """Answer one request, as well as the shop is told to."""
        _check_key(request)
        self._shop.asked.append((self.name, dict(request.query_params)))
        query = read_query(request.query_params, self._window)
        window = {name: _read_moment(name, text, self._shop.settings.zone) for name, text in query.window.items()}
        if (failure := await self._failure()) is not None:
            return failure
        records = self._find(window)
        if query.paging.get("page", "1") != "1" and self._strikes(Fault.SHIFTED_LIST):
            records = [*records[1:], *records[:1]]
        page = page_of(records, query)
        return self._respond(request, page, query)

    def _respond(self, request: Request, page: Page[_T], query: Query) -> Response:
        next_url = _next_url(request, page, query)
        headers = {"X-Total-Count": str(page.total)}
        if next_url:
            headers["Link"] = f'<{next_url}>; rel="next"'
        place = {
            "total": page.total,
            "page": page.number,
            "pages": page.pages,
            "next_cursor": page.next_cursor,
            "next": next_url,
        }
        records = b",".join(self._with_faults([self._json(record) for record in page.records]))
        body = b'{"%s":[%s],%s' % (self.name.encode(), records, to_json(place)[1:])
        kind = CutResponse if self._strikes(Fault.CUT_ANSWER) else Response
        return kind(body, headers=headers, media_type="application/json")

    def _json(self, record: _T) -> bytes:
        key = (record.record_id, record.updated_at)
        if key not in self._shown:
            self._shown[key] = to_json(self._show(record))
        return self._shown[key]

    async def _failure(self) -> Response | None:
        """A late or failing answer, if the shop is told to give one now."""
        misbehaviour = self._shop.misbehaviour
        if self._strikes(Fault.TIME_OUT):
            await asyncio.sleep(misbehaviour.late_by)
        if self._strikes(Fault.TOO_MANY_REQUESTS):
            return _error(429, "too many requests", {"Retry-After": str(misbehaviour.retry_after)})
        if self._strikes(Fault.ERROR_500):
            return _error(500, "something went wrong")
        if self._strikes(Fault.ERROR_503):
            return _error(503, "unavailable for a moment")
        return None

    def _with_faults(self, records: list[bytes]) -> list[bytes]:
        """The records of a page, as wrong as the shop is told to send them."""
        if not records:
            return records
        if self._strikes(Fault.DUPLICATE_PAGE):
            records = records + records
        if self._strikes(Fault.DUPLICATE_RECORD):
            records = [*records, records[-1]]
        if self._strikes(Fault.MISSING_RECORD):
            records = records[:-1]
        if self._strikes(Fault.NEW_FIELD):
            records = [_NEW_FIELD + record[1:] for record in records]
        return records

    def _strikes(self, fault: Fault) -> bool:
        return self._shop.misbehaviour.strikes(fault, f"/{self.name}")


def _find_orders(shop: DemoShop, window: Mapping[str, datetime]) -> Sequence[Order]:
    return shop.orders_between(
        window.get("created_from", EARLIEST),
        window.get("created_to", LATEST),
        updated_since=window.get("updated_since", EARLIEST),
    )


def _find_customers(shop: DemoShop, window: Mapping[str, datetime]) -> Sequence[Customer]:
    since = window.get("updated_since", EARLIEST)
    return [customer for customer in shop.customers() if customer.updated_at >= since]


def _find_products(shop: DemoShop, window: Mapping[str, datetime]) -> Sequence[Product]:
    since = window.get("updated_since", EARLIEST)
    return [product for product in shop.products() if product.updated_at >= since]


async def _shop(request: Request) -> Response:
    _check_key(request)
    settings = request.app.state.shop.settings
    body = {"name": settings.name, "timezone": settings.timezone, "currency": settings.currency}
    return Response(to_json(body), media_type="application/json")


async def _report(request: Request) -> Response:
    _check_key(request)
    shop: DemoShop = request.app.state.shop
    try:
        first, last = (date.fromisoformat(request.query_params.get(name, "")) for name in ("from", "to"))
    except ValueError:
        raise ParameterError("from and to must be days such as 2026-01-31, both included") from None
    if not first <= last < first + timedelta(days=MOST_DAYS):
        raise ParameterError(f"from must not lie after to, and a report has {MOST_DAYS} days at most")
    rows = daily_report(shop.orders_that_count_on(first, last), first, last, shop.settings)
    return Response(to_json({"days": rows}), media_type="application/json")


async def _place(request: Request) -> Response:
    """Place an order now."""
    _check_key(request)
    shop: DemoShop = request.app.state.shop
    return Response(to_json(order_record(shop.place_order())), 201, media_type="application/json")


async def _edit(request: Request) -> Response:
    """Edit an order now."""
    _check_key(request)
    shop: DemoShop = request.app.state.shop
    try:
        changed = shop.edit_order(request.path_params["order_id"])
    except KeyError:
        return _error(404, "no such order")
    except ValueError as error:
        return _error(409, str(error))
    return Response(to_json(order_record(changed)), media_type="application/json")


def _check_key(request: Request) -> None:
    key = request.app.state.shop.settings.key
    given = request.headers.get("Authorization", "")
    if key is not None and not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
        raise HTTPException(401, "a valid key is needed: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})


def _read_moment(name: str, text: str, zone: ZoneInfo) -> datetime:
    """A moment in ISO 8601; without an offset, or as a date, it is meant in the shop's zone."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ParameterError(f"{name} must be a moment in ISO 8601, not {text[:40]!r}") from None


def _next_url(request: Request, page: Page[_T], query: Query) -> str | None:
    if page.next_paging is None:
        return None
    parameters = {**query.window, "limit": str(query.limit), **page.next_paging}
    return str(request.url.replace(query=urlencode(parameters)))


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json({"error": message}), status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    del request
    if isinstance(error, HTTPException):
        return _error(error.status_code, error.detail, error.headers)
    return _error(400, str(error))
