"""The desk of one shop: so many calls at once as memory and the database take; no shop waits for another one's.

What is read of a call, and what is done with it, is `receiver`'s part; HTTP stands in `app`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import anyio
import psycopg
from starlette.requests import Request

from analytics_pipeline.errors import PipelineError
from analytics_pipeline.webhooks.dialects import Call
from analytics_pipeline.webhooks.receiver import Receiver
from analytics_pipeline.webhooks.refusals import Reason, Refused

MOST_AT_ONCE = 32
"""Calls of a shop that are under way; the others are to come again."""
MOST_WRITERS = 4
"""Threads that write, each with a connection: those whose database hangs are waited for, and no more are started."""
SECONDS_TO_STORE = 4.5
"""Platforms give up after five."""
SECONDS_BETWEEN_COUNTS = 2.0
COUNTS_BETWEEN_CLEANINGS = 1800
SECONDS_BETWEEN_WARNINGS = 60.0
_Value = TypeVar("_Value")
_logger = logging.getLogger(__name__)


class Desk:
    """Takes the calls of one shop.

    Attributes:
        receiver: Reads and stores them.
    """

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._under_way = 0
        self._reading: list[anyio.CancelScope] = []
        self._said, self._said_at = "", 0.0
        self._writers = ThreadPoolExecutor(MOST_WRITERS, f"webhooks of {receiver.shop.name}")

    async def take(self, request: Request) -> str:
        """Take a call, and return what it did.

        Raises:
            Refused: It is not taken; it is counted.
        """
        try:
            self._make_room()
            self._under_way += 1
            try:
                call = await self._read(request)
                return "pong" if call is None else await self._store(call)
            finally:
                self._under_way -= 1
        except Refused as refused:
            self.receiver.refusals.note(refused.reason)
            raise

    def _make_room(self) -> None:
        """Where all places are taken, take that of the call whose body has been on its way for longest.

        Bodies of a shop are there at once. Otherwise a few senders of slow ones would keep all others out.
        """
        if self._under_way < MOST_AT_ONCE:
            return
        if not self._reading:
            raise Refused(Reason.BUSY)
        self._reading.pop(0).cancel()

    async def _read(self, request: Request) -> Call | None:
        with anyio.CancelScope() as scope:
            self._reading.append(scope)
            try:
                return await self.receiver.read(request)
            finally:
                if scope in self._reading:
                    self._reading.remove(scope)
        raise Refused(Reason.BUSY)

    async def _store(self, call: Call) -> str:
        try:
            return await asyncio.wait_for(self._in_thread(partial(self.receiver.store, call)), SECONDS_TO_STORE)
        except TimeoutError:
            self._warn("the database takes too long")
            raise Refused(Reason.NO_DATABASE) from None
        except (PipelineError, psycopg.Error) as error:
            self._warn(error)
            raise Refused(Reason.NO_DATABASE) from None

    def _in_thread(self, work: Callable[[], _Value]) -> "asyncio.Future[_Value]":
        # One that takes too long is left to itself: if it stores the call after all, the next attempt is a repeat.
        return asyncio.get_running_loop().run_in_executor(self._writers, work)

    async def keep_books(self) -> None:
        """Write what was refused, and forget what is old, until it is cancelled."""
        rounds = 0
        while True:
            await anyio.sleep(SECONDS_BETWEEN_COUNTS)
            await self._try(self.receiver.keep_counts)
            if rounds % COUNTS_BETWEEN_CLEANINGS == 0:
                await self._try(self.receiver.forget_old)
            rounds += 1

    async def close(self) -> None:
        """Write what was refused last, and start no more threads."""
        try:
            await asyncio.wait_for(self._try(self.receiver.keep_counts), SECONDS_TO_STORE)
        except TimeoutError:
            self._warn("the database takes too long for what was refused last")
        self._writers.shutdown(wait=False, cancel_futures=True)

    async def _try(self, work: Callable[[], None]) -> None:
        try:
            await self._in_thread(work)
        except (PipelineError, psycopg.Error) as error:
            self._warn(error)

    def _warn(self, what: object) -> None:
        """Warn of something; of the same again only after a while, however many calls meet it."""
        said, now = str(what), time.monotonic()
        if said != self._said or now - self._said_at > SECONDS_BETWEEN_WARNINGS:
            self._said, self._said_at = said, now
            _logger.warning("webhooks of %s: %s", self.receiver.shop.name, said)
