"""A receiver of calls on a free port, in a thread of the test, and calls as a shop makes them."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import requests
import uvicorn

from analytics_pipeline.cli.receiver import Impatient
from analytics_pipeline.demo_shop.calling import signed
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.webhooks import Webhooks
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.webhooks.app import create_app

SECRET = "the secret of the calls"
WEBHOOKS = Webhooks(dialect="standard", secret="${TEST_WEBHOOK_SECRET}")
ENVIRONMENT = {"TEST_WEBHOOK_SECRET": SECRET}


@contextmanager
def receiving(shops: Sequence[tuple[Shop, Database]], more: Mapping[str, str] = ENVIRONMENT) -> Iterator[str]:
    """Take the calls of shops until the block ends; gives the URL before the shop's name.

    Args:
        shops: Whose, with the databases of their tables.
        more: Further variables of the environment.
    """
    app = create_app(shops, {**ENVIRONMENT, **more})
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Impatient, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/webhooks"
    finally:
        server.should_exit = True
        thread.join()


def call(
    url: str, body: bytes, *, call_id: str = "msg_1", secret: str = SECRET, age: float = 0.0, long: str = ""
) -> requests.Response:
    """Make a signed call."""
    return requests.post(
        url, body, headers={**signed(call_id, body, secret, int(time.time() - age)), "x-more": long}, timeout=20
    )
