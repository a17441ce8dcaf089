"""What all dialects share: the demo shop behind them, requests and answers, misbehaviour, and serving on 127.0.0.1."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, cached_property
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings, RevenueTruth
from analytics_pipeline.demo_shop.days import business_day
from analytics_pipeline.demo_shop.generator import generate_day
from analytics_pipeline.demo_shop.model import ZERO, History, Order
from analytics_pipeline_tests.dialects.charges import GIFT_CARD_REDEEMED, OUTSIDE_SALES, charge

_PATIENCE_SECONDS = 10.0
Record = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A request: `query` in the order in which it came, `path` with its named parts, `body` as JSON or a form."""

    method: str
    url: str
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: Any = None

    @cached_property
    def params(self) -> dict[str, str]:
        """The query parameters by name, the last one of several."""
        return dict(self.query)


@dataclass(frozen=True)
class Answer:
    """An answer: a body that is no bytes is sent as JSON."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        if self.body is None:
            return Response(status_code=self.status, headers=dict(self.headers))
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()
        return Response(content, self.status, {"Content-Type": "application/json", **self.headers})


class RefusedError(Exception):
    """A request that the platform refuses, with its answer."""

    def __init__(self, status: int, body: object, **headers: str) -> None:
        self.answer = Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
        super().__init__(str(body))


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Figures:
    """What is right about a business day; None for what the dialect cannot express.

    `charges` are other charges that count in total sales, without tax; their taxes are among `taxes`.
    """

    orders: int | None
    units_sold: int | None
    units_returned: int | None
    gross_sales: Decimal | None
    discounts: Decimal | None
    returns: Decimal | None
    net_sales: Decimal | None
    shipping: Decimal | None
    charges: Decimal | None
    outside_sales: Decimal | None
    taxes: Decimal | None
    total_sales: Decimal | None


class Dialect:
    """A platform's API over a demo shop.

    The demo shop's bad records are broken as no platform's own records are: a shop with some is refused.

    Attributes:
        kinds: Other charges that the platform knows.
        inexpressible: Names of figures that the platform's records do not tell.
        knows_prices_with_tax: Whether the demo shop's prices may include tax.
        asked: Requests so far.
        refusals: Answers that are given in place of the next ones.
        hidden: Ids of orders that no list shows yet, though their stamps lie in the past.
        touched: Change stamps in place of the orders' own, as a bulk edit leaves them.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    inexpressible: ClassVar[frozenset[str]] = frozenset()
    knows_prices_with_tax: ClassVar[bool] = False

    def __init__(self, shop: DemoShop, now: Callable[[], datetime], *, with_charges: bool = False) -> None:
        if shop.settings.bad_share:
            raise ValueError("a platform keeps no broken records: bad_share has to be 0")
        if shop.settings.prices_include_tax and not self.knows_prices_with_tax:
            raise ValueError(f"{type(self).__name__} is written for prices without tax alone")
        self.shop = shop
        self.now = now
        self.charged = self.kinds if with_charges else ()
        self.asked: list[Call] = []
        self.refusals: list[Answer] = []
        self.hidden: set[str] = set()
        self.touched: dict[str, datetime] = {}
        self._shown: dict[tuple[str, str, datetime, datetime], Record] = {}

    def routes(self) -> dict[tuple[str, str], Handler]:
        """The handlers by method and path, in the words of the platform."""
        raise NotImplementedError

    def check(self, call: Call) -> None:
        """Refuse a request without the right credentials. Raises RefusedError."""
        raise NotImplementedError

    @property
    def settings(self) -> DemoShopSettings:
        """The demo shop's settings."""
        return self.shop.settings

    def orders(self) -> list[Order]:
        """The orders that a list shows now, by id, with the stamps that it shows."""
        return [
            replace(order, shown_stamp=self.touched.get(order.order_id, order.shown_stamp))
            for order in self.shop.orders_between()
            if order.order_id not in self.hidden
        ]

    def changed_at(self, order: Order) -> datetime:
        """The change stamp that the platform shows."""
        return order.stamp

    def tests(self) -> int:
        """How many records of test orders the lists show, in whatever form: what is to be left out on purpose."""
        return sum(order.is_test for order in self.orders())

    def shown(self, show: Callable[[Order], Record]) -> list[Record]:
        """The orders that a list shows now, as `show` shows them; what has not changed is shown once."""
        found = []
        for order in self.orders():
            key = (show.__name__, order.order_id, order.updated_at, order.stamp)
            if key not in self._shown:
                self._shown[key] = show(order)
            found.append(self._shown[key])
        return found

    def versions(self, order: Order) -> list[Order]:
        """The versions of an order up to now, oldest first."""
        histories = _histories(self.settings, self.day_of(order.created_at))
        history = next(one for one in histories if one.order_id == order.order_id)
        return [version for version in history.seen() if version.updated_at <= self.now()]

    def day_of(self, moment: datetime) -> date:
        """The business day of a moment."""
        return business_day(moment, self.settings.zone)

    def charges_of(self, order: Order, kind: str) -> tuple[Decimal, Decimal]:
        """What an order is charged of a kind, and the tax on it: zeros where the dialect serves no charges."""
        return charge(order, kind) if kind in self.charged else (ZERO, ZERO)

    def truth(self, day: date) -> Figures:
        """What is right about a business day in the shop's currency: the demo shop's truth and the other charges."""
        return self.with_charges(self.shop.truth(day).revenue[self.settings.currency], day)

    def with_charges(self, right: RevenueTruth, day: date) -> Figures:
        """Figures of a business day with the other charges, without what the dialect cannot express."""
        charged = dict.fromkeys(("charges", "outside_sales", "taxes"), ZERO)
        for order in self.orders() if self.charged else []:
            sign = (self.day_of(order.created_at) == day) - self._is_cancelled_on(order, day)
            for kind in self.charged if sign and not order.is_test else ():
                amount, tax = self.charges_of(order, kind)
                place = "outside_sales" if kind in OUTSIDE_SALES else "charges"
                charged[place] += sign * (-amount if kind == GIFT_CARD_REDEEMED else amount)
                charged["taxes"] += sign * tax
        figures = Figures(
            orders=right.orders,
            units_sold=right.units_sold,
            units_returned=right.units_returned,
            gross_sales=right.gross_sales,
            discounts=right.discounts,
            returns=right.returns,
            net_sales=right.net_sales,
            shipping=right.shipping,
            charges=charged["charges"],
            outside_sales=charged["outside_sales"],
            taxes=right.taxes + charged["taxes"],
            total_sales=right.total_sales + charged["charges"] + charged["taxes"],
        )
        return replace(figures, **dict.fromkeys(self.inexpressible))

    def _is_cancelled_on(self, order: Order, day: date) -> bool:
        return order.cancelled_at is not None and self.day_of(order.cancelled_at) == day

    def app(self) -> Starlette:
        """The API, to be served."""
        routes = [
            Route(path, self._endpoint(handler), methods=[method]) for (method, path), handler in self.routes().items()
        ]
        return Starlette(routes=routes)

    def _endpoint(self, handler: Handler) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            call = Call(
                request.method,
                str(request.url),
                dict(request.path_params),
                request.query_params.multi_items(),
                request.headers,
                _body(await request.body(), request.headers.get("Content-Type", "")),
            )
            self.asked.append(call)
            if self.refusals:
                return self.refusals.pop(0).response()
            try:
                return handler(call).response()
            except RefusedError as refused:
                return refused.answer.response()

        return answer


@cache
def _histories(settings: DemoShopSettings, day: date) -> tuple[History, ...]:
    return generate_day(settings, day).histories


def _body(content: bytes, kind: str) -> object:
    if not content:
        return None
    if kind.startswith("application/json"):
        return json.loads(content)
    return dict(parse_qsl(content.decode()))


def basic_credentials(call: Call) -> tuple[str, str] | None:
    """User and password of a request with basic credentials."""
    kind, _, text = call.headers.get("Authorization", "").partition(" ")
    if kind != "Basic":
        return None
    user, _, password = b64decode(text).decode().partition(":")
    return user, password


def moment_of(text: str) -> datetime:
    """A moment in ISO 8601; without an offset it is meant in UTC.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_D = TypeVar("_D", bound=Dialect)


class Serving(Generic[_D]):
    """A dialect that answers at `url` until `stop`; usable in a `with` statement."""

    def __init__(self, dialect: _D) -> None:
        self.dialect = dialect
        config = uvicorn.Config(
            dialect.app(),
            host="127.0.0.1",
            port=0,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._socket = config.bind_socket()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the dialect did not start at {self.url}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(_PATIENCE_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
