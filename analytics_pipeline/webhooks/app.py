"""The ASGI application that takes calls at `/webhooks/NAME`, one for any number of shops.

A call is answered 200 once it is on disk; `receiver` says what is refused. A proxy that speaks TLS stands before it.
For a server of one's own: `uvicorn --factory analytics_pipeline.webhooks.app:create_app`.
"""

import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analytics_pipeline.errors import PermanentError
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.warehouse.connection import Database, data_database
from analytics_pipeline.webhooks.desk import Desk
from analytics_pipeline.webhooks.receiver import Receiver, receiver_of
from analytics_pipeline.webhooks.refusals import Refused

_RETRY = {"Retry-After": "5"}
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
    door = _Door({receiver.shop.name: Desk(receiver) for receiver in receivers})
    app = Starlette(
        routes=[Route("/webhooks/{name}", door.answer, methods=["POST"])],
        lifespan=door.lifespan,
        exception_handlers={HTTPException: _answer_and_close},
    )
    app.router.redirect_slashes = False  # platforms follow no redirect, and its address would be the caller's
    return app


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


async def _answer_and_close(_: Request, error: Exception) -> Response:
    """Answer a call that is not taken; what is left of its body is not waited for, however long that is."""
    if not isinstance(error, HTTPException):
        raise error
    headers = {**(error.headers or {}), "Connection": "close"}
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers)


class _Door:
    """Leads each call to the desk of its shop."""

    def __init__(self, desks: Mapping[str, Desk]) -> None:
        self._desks = desks

    async def answer(self, request: Request) -> Response:
        """Answer a call."""
        desk = self._desks.get(request.path_params["name"])
        if desk is None:
            raise HTTPException(404, "no shop of this name takes calls here")
        try:
            return PlainTextResponse(f"{await desk.take(request)}\n")
        except Refused as refused:
            status = refused.reason.status
            raise HTTPException(
                status,
                f"refused: {refused.reason.word}",
                headers=_RETRY if status >= 500 else None,  # noqa: PLR2004
            ) from None

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keep the books of all desks while the application runs."""
        async with anyio.create_task_group() as tasks:
            for desk in self._desks.values():
                tasks.start_soon(desk.keep_books)
            yield
            tasks.cancel_scope.cancel()
        async with anyio.create_task_group() as tasks:
            for desk in self._desks.values():
                tasks.start_soon(desk.close)
