"""The server of the shop's calls, on loopback: `python -m analytics_pipeline.cli.receiver PORT`.

`up --webhooks` starts it, on a port of its own that is not behind the UI's guard: calls come from the shop, by a proxy
that speaks TLS, and are known by their signatures. What is done with them is in `webhooks`.
"""

import sys

import uvicorn

from analytics_pipeline.webhooks.app import create_app
from analytics_pipeline.webhooks.receiver import LARGEST_HEADERS

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 200


def main() -> None:
    """Take calls until the process is asked to end."""
    uvicorn.run(
        create_app(),
        host=LOOPBACK,
        port=int(sys.argv[1]),
        http="h11",  # which bounds what it reads before a request is one
        h11_max_incomplete_event_size=2 * LARGEST_HEADERS,
        limit_concurrency=MOST_CONNECTIONS,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
