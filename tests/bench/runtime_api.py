"""The part of Lambda's Runtime API that one function needs, and an endpoint for its response to CloudFormation."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

SECONDS = 120


class FunctionFailed(Exception):
    """A function returned an error, or nothing in time."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def do_GET(self) -> None:
        """`.../invocation/next`: waits for an event and returns it."""
        self.server.asked.put(time.perf_counter())
        event = self.server.events.get()
        self.reply(200, event, {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:111122223333:function:function",
        })

    def do_POST(self) -> None:
        """`.../response` or `.../error`."""
        ended, body = time.perf_counter(), self.body()
        self.server.answers.put((ended, self.path.rpartition("/")[2], body))
        self.reply(202)

    def do_PUT(self) -> None:
        """A custom resource's `ResponseURL`."""
        self.server.replies.append(json.loads(self.body()))
        self.reply(200)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class RuntimeApi(ThreadingHTTPServer):
    """Serves one function on a free port."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores the broken connections of a killed function."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        self.replies: list[dict[str, Any]] = []


class Function:
    """A process of a function, killed at the end of the `with` block."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.command = command
        self.environment = environment
        self.log = log

    def __enter__(self) -> Self:
        self.api = RuntimeApi()
        self.thread = threading.Thread(target=self.api.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        host, port = self.api.server_address
        environment = {**self.environment, "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}"}
        with self.log.open("a") as log:
            started = time.perf_counter()
            self.process = subprocess.Popen(self.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.start = self.api.asked.get(timeout=SECONDS) - started
        except queue.Empty:
            self.__exit__()
            raise FunctionFailed(self.log.read_text()) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.api.shutdown()
        self.api.server_close()

    @property
    def callback(self) -> str:
        """The `ResponseURL` of its requests, with the current time as signing time."""
        return f"http://127.0.0.1:{self.api.server_port}/answer?X-Amz-Date={time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"

    def invoke(self, event: dict[str, Any]) -> float:
        """Sends an event and returns the seconds until the answer."""
        started = time.perf_counter()
        self.api.events.put(json.dumps(event).encode())
        try:
            ended, kind, body = self.api.answers.get(timeout=SECONDS)
        except queue.Empty:
            raise FunctionFailed(self.log.read_text()) from None
        if kind != "response":
            raise FunctionFailed(body.decode())
        return ended - started

    @property
    def peak_memory(self) -> int:
        """The peak memory of the process in bytes. (`ru_maxrss` includes this process's memory, from before the exec.)"""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak, = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak) * 1024
