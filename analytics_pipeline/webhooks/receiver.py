"""One shop's calls: bounded, checked, read and stored, or refused. Bodies are in memory while they are read, only.

HTTP stands in `app`, what a stored call does in `marking`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from starlette.requests import ClientDisconnect, Request

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.webhooks import Webhooks
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.webhooks.dialects import Call, CallReader, is_ping
from analytics_pipeline.webhooks.marking import forget_old, take_call
from analytics_pipeline.webhooks.refusals import Reason, Refusals, Refused
from analytics_pipeline.webhooks.signatures import check_of, is_signed, keys_of

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes: an order of five hundred lines is one or two million."""
LARGEST_HEADERS = 16 * 1024
SECONDS_FOR_BODY = 4.0


@dataclass
class Receiver:
    """Takes the calls of one shop.

    Attributes:
        shop: Its description.
        webhooks: What that says of its calls.
        database: Where its tables lie.
        keys: What its calls may be signed with.
        refusals: What they were refused for.
    """

    shop: Shop
    webhooks: Webhooks
    database: Database
    keys: tuple[bytes, ...] = field(repr=False)
    refusals: Refusals = field(default_factory=Refusals)
    _is_open: bool = False

    def __post_init__(self) -> None:
        self._reader = CallReader(self.shop, self.webhooks)
        self._refuse = check_of(self.webhooks.dialect)

    async def read(self, request: Request) -> Call | None:
        """Read a call that is signed as it should be; None of one that only tries the address out.

        Raises:
            Refused: It is not taken.
        """
        headers, dialect = request.headers, self.webhooks.dialect
        if sum(len(name) + len(value) for name, value in headers.raw) > LARGEST_HEADERS:
            raise Refused(Reason.TOO_MANY_HEADERS)
        if not is_signed(headers, dialect):
            # Nothing else of what is not signed is read.
            if dialect == "woocommerce" and is_ping(headers, await _read_body(request, largest=100)):
                return None
            raise Refused(Reason.UNSIGNED)
        body = await _read_body(request, largest=LARGEST_BODY)
        self._refuse(headers, body, self.keys, time.time())
        return self._reader.read(headers, body)

    def store(self, call: Call) -> str:
        """Store a call, mark what it affects, and return what it did; blocks."""
        return take_call(self._opened(), self.shop, call)

    def keep_counts(self) -> None:
        """Write what was refused; blocks."""
        if self.refusals:
            self.refusals.keep(self._opened())

    def forget_old(self) -> None:
        """Forget calls and counts that have been kept long enough; blocks."""
        forget_old(self._opened())

    def _opened(self) -> Database:
        """Return the database, brought up to date and known to be the shop's: it need not be there before a call is."""
        if not self._is_open:
            open_warehouse(self.database, self.shop)
            self._is_open = True
        return self.database


def receiver_of(shop: Shop, database: Database, environment: Mapping[str, str]) -> Receiver:
    """Return what takes a shop's calls.

    Raises:
        SettingsError: Its description has no webhooks, or the secret is none of the dialect's.
        MissingSecretError: The secret is not set.
    """
    if shop.webhooks is None:
        raise SettingsError(how_to_describe(shop))
    return Receiver(shop, shop.webhooks, database, keys_of(shop.webhooks, environment))


def how_to_describe(shop: Shop) -> str:
    """Say what a description lacks that has no webhooks."""
    return (
        f"the description of the shop {shop.name} has no webhooks. Add who calls and by which secret, such as\n"
        '  webhooks: {dialect: shopify, secret: "${SHOP_WEBHOOK_SECRET}"}\n'
        "(or woocommerce, stripe, standard), and put the secret into the environment or .env; docs/webhooks.md says "
        "where each platform has it"
    )


async def _read_body(request: Request, *, largest: int) -> bytes:
    """Read a body that is neither too large nor too slow.

    Raises:
        Refused: It is, or it was cut.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > largest:
        raise Refused(Reason.TOO_LARGE)
    body = bytearray()
    try:
        with anyio.fail_after(SECONDS_FOR_BODY):
            async for part in request.stream():
                body += part
                if len(body) > largest:
                    raise Refused(Reason.TOO_LARGE)
    except TimeoutError:
        raise Refused(Reason.TOO_SLOW) from None
    except ClientDisconnect:
        raise Refused(Reason.CUT) from None
    return bytes(body)
