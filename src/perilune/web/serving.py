"""The processes that serve: one, or several over one store and one listening socket."""

from __future__ import annotations

import multiprocessing
import socket
import time
from multiprocessing.process import BaseProcess

import uvicorn

from perilune.settings import Settings
from perilune.web.app import make_app
from perilune.web.options import Options
from perilune.web.rooms import Rooms, open_rooms

AGAIN = 1.0  # seconds before a process that ended is begun again
GRACE = 10.0


class Server(uvicorn.Server):
    """Tells the streams of events to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, held: Rooms) -> None:
        super().__init__(config)
        self._rooms = held

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._rooms.closing = True
        await super().shutdown(sockets)


def serve(settings: Settings, options: Options, workers: int) -> None:
    """Serves until stopped. Each process has a share of the rate limits; all have the same users, cases and runs."""
    with listen(options) as listening:
        if workers == 1:
            serve_one(settings, options, listening)
            return
        _supervise(settings, options, workers, listening)


def listen(options: Options) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((options.host, options.port))
    listening.listen(512)
    listening.set_inheritable(True)
    return listening


def serve_one(settings: Settings, options: Options, listening: socket.socket, share: int = 1) -> None:
    """One process, to its end."""
    held = open_rooms(settings, options)
    held.asks.rate /= share
    held.asks.burst /= share
    held.logins.rate /= share
    config = uvicorn.Config(
        make_app(held),
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        proxy_headers=bool(options.public),
        forwarded_allow_ips=options.proxy,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=15,
        limit_concurrency=300,
        timeout_graceful_shutdown=3,  # streams of events would hold it for ever
    )
    Server(config, held).run(sockets=[listening])


def _supervise(settings: Settings, options: Options, workers: int, listening: socket.socket) -> None:
    """Keeps so many processes; one that ends is begun again."""
    context = multiprocessing.get_context("spawn")  # nothing of this process's state or locks goes along

    def begin() -> BaseProcess:
        made = context.Process(target=serve_one, args=(settings, options, listening, workers), daemon=False)
        made.start()
        return made

    running = [begin() for _ in range(workers)]
    try:
        while True:
            time.sleep(AGAIN)
            running = [one if one.is_alive() else begin() for one in running]
    except (KeyboardInterrupt, SystemExit):
        for one in running:
            one.terminate()
        for one in running:
            one.join(GRACE)
