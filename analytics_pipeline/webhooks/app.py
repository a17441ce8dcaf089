"""The ASGI application that takes calls at `/webhooks/NAME`, one for any number of shops.

A call is answered 200 once it is on disk; `receiver` says what is refused. A proxy that speaks TLS stands before it.
For a server of one's own: `uvicorn --factory analytics_pipeline.webhooks.app:create_app`.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analytics_pipeline.errors import PermanentError, PipelineError
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.warehouse.connection import Database, data_database
from analytics_pipeline.webhooks.receiver import Receiver, receiver_of
from analytics_pipeline.webhooks.refusals import Reason, Refused

MOST_AT_ONCE = 32
"""Calls that are under way; the others are to come again."""
MOST_WRITERS = 8
SECONDS_TO_STORE = 4.5
"""Platforms give up after five."""
SECONDS_BETWEEN_COUNTS = 2.0
COUNTS_BETWEEN_CLEANINGS = 1800
_RETRY = {"Retry-After": "5"}
_Value = TypeVar("_Value")
_logger = logging.getLogger(__name__)


def create_app(
    shops: Iterable[tuple[Shop, Database]] | None = None, environment: Mapping[str, str] = os.environ
) -> Starlette:
    """Return the application.

    Args:
        shops: The shops whose calls it takes, each with the database of its tables; the installation's when None.
        environment: Has the secrets.

    Raises:
        SettingsError: A description has no webhooks.
        MissingSecretError: A secret is not set. Of the installation's shops the others are taken all the same.
    """
    if shops is None:
        receivers = _installed_receivers(environment)
    else:
        receivers = [receiver_of(shop, database, environment) for shop, database in shops]
    door = _Door({receiver.shop.name: receiver for receiver in receivers})
    return Starlette(routes=[Route("/webhooks/{name}", door.answer, methods=["POST"])], lifespan=door.lifespan)


def _installed_receivers(environment: Mapping[str, str]) -> list[Receiver]:
    """Return the receivers of the installation's shops; one whose description or secret is wrong stops no other."""
    settings = Settings.from_environment(environment)
    database = data_database(settings)
    receivers, faults = [], []
    for reference in settings.shops:
        try:
            shop = load_shop(reference)
            receivers.append(receiver_of(shop, database.of(shop.namespace), environment))
        except PermanentError as error:
            faults.append(error)
            _logger.warning("takes no calls of %s: %s", reference, error)
    if not receivers:
        raise faults[0]
    return receivers


class _Door:
    """Answers calls, no more at once than memory and the database take."""

    def __init__(self, receivers: Mapping[str, Receiver]) -> None:
        self._receivers = receivers
        self._under_way = 0
        self._writers = anyio.CapacityLimiter(MOST_WRITERS)

    async def answer(self, request: Request) -> Response:
        """Answer a call."""
        receiver = self._receivers.get(request.path_params["name"])
        if receiver is None:
            return PlainTextResponse("no shop of this name takes calls here\n", 404)
        try:
            return PlainTextResponse(f"{await self._take(receiver, request)}\n")
        except Refused as refused:
            receiver.refusals.note(refused.reason)
            # What is left of the body is not waited for.
            headers = {"Connection": "close", **(_RETRY if refused.reason.status >= 500 else {})}  # noqa: PLR2004
            return PlainTextResponse(f"refused: {refused.reason.word}\n", refused.reason.status, headers)

    async def _take(self, receiver: Receiver, request: Request) -> str:
        if self._under_way >= MOST_AT_ONCE:
            raise Refused(Reason.BUSY)
        self._under_way += 1
        try:
            call = await receiver.read(request)
            if call is None:
                return "pong"
            with anyio.fail_after(SECONDS_TO_STORE):
                return await self._in_thread(partial(receiver.store, call))
        except TimeoutError:
            _logger.warning("webhooks of %s: the database takes too long", receiver.shop.name)
            raise Refused(Reason.NO_DATABASE) from None
        except (PipelineError, psycopg.Error) as error:
            _logger.warning("webhooks of %s: %s", receiver.shop.name, error)
            raise Refused(Reason.NO_DATABASE) from None
        finally:
            self._under_way -= 1

    async def _in_thread(self, work: Callable[[], _Value]) -> _Value:
        # One that takes too long is left to itself: if it stores the call after all, the next attempt is a repeat.
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._writers)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Write counts while the application runs, and once more at its end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_books)
            yield
            tasks.cancel_scope.cancel()
        self._keep_counts()

    async def _keep_books(self) -> None:
        rounds = 0
        while True:
            await anyio.sleep(SECONDS_BETWEEN_COUNTS)
            await self._in_thread(self._keep_counts)
            if rounds % COUNTS_BETWEEN_CLEANINGS == 0:
                await self._in_thread(self._forget_old)
            rounds += 1

    def _keep_counts(self) -> None:
        self._for_each(Receiver.keep_counts)

    def _forget_old(self) -> None:
        self._for_each(Receiver.forget_old)

    def _for_each(self, work: Callable[[Receiver], None]) -> None:
        for receiver in self._receivers.values():
            try:
                work(receiver)
            except (PipelineError, psycopg.Error) as error:
                _logger.warning("webhooks of %s: %s", receiver.shop.name, error)
