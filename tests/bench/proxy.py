"""A proxy in front of the local AWS that delays and records every call."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.parse
from typing import Self


class Proxy:
    """Forwards HTTP/1.1 to an endpoint of this machine, connection by connection; for use in a `with` block."""

    def __init__(self, endpoint: str) -> None:
        self.upstream = urllib.parse.urlsplit(endpoint)
        self.latency = 0.0
        self.calls: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.connections: set[asyncio.Task] = set()

    def __enter__(self) -> Self:
        serving = asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.server = self.loop.run_until_complete(serving)
        host, port = self.server.sockets[0].getsockname()
        self.endpoint = f"http://{host}:{port}"
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.close_connections(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def close_connections(self) -> None:
        self.server.close()
        for connection in self.connections:
            connection.cancel()
        await asyncio.gather(*self.connections)

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        # The event loop holds only weak references to its tasks.
        self.connections.add(connection := asyncio.current_task())
        connection.add_done_callback(self.connections.discard)
        aws, ask = await asyncio.open_connection(self.upstream.hostname, self.upstream.port)
        # When one side disconnects, both connections are closed.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head, body = await message(client)
                self.calls.append(name_of(head, body))
                await asyncio.sleep(self.latency)
                ask.write(head + body)
                method = head.split(b" ", 1)[0]
                answer.write(b"".join(await message(aws, bodiless=method == b"HEAD")))
                await answer.drain()
        for writer in (ask, answer):
            writer.close()


async def message(reader: asyncio.StreamReader, bodiless: bool = False) -> tuple[bytes, bytes]:
    """The head and the body of a request or of a response, unchanged."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if bodiless or head.split(b" ", 2)[1] in (b"204", b"304"):
        return head, b""
    if headers.get(b"transfer-encoding") != b"chunked":
        return head, await reader.readexactly(int(headers.get(b"content-length", 0)))
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n") and body != b"0\r\n\r\n":
        size = await reader.readuntil(b"\r\n")
        body += size + await reader.readexactly(int(size, 16) + 2)
    return head, body


def name_of(head: bytes, body: bytes) -> str:
    """The name of a call: its action, or for S3 its method and sub-resource."""
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    for line in head.decode().split("\r\n"):
        header, _, value = line.partition(": ")
        if header.lower() == "x-amz-target":
            return value.rpartition(".")[2]
    path, _, query = target.partition("?")
    if "/operation/" in path:
        return path.rpartition("/")[2]
    parameters = urllib.parse.parse_qs(body.decode())
    if "Action" in parameters:
        return parameters["Action"][0]
    subresource = query.partition("&")[0].partition("=")[0]
    return f"{method} bucket{f' {subresource}' if subresource and subresource != 'x-id' else ''}"
