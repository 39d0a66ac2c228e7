"""A web server on this machine that behaves as told: ranges or none, cut connections, errors, pages."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FileServer:
    """What is served under every path, and what was asked."""

    content: bytes = b""
    ranges: bool = True
    etag: bool = True
    announce_length: bool = True
    content_type: str = "application/octet-stream"
    status: list[int] = field(default_factory=list)  # answers before the real ones
    cut_after: list[int] = field(default_factory=list)  # bytes after which each of the first answers is cut off
    while_sending: Callable[[int], None] | None = None
    requests: list[Message] = field(default_factory=list)
    url: str = ""

    def start(self) -> ThreadingHTTPServer:
        """Serve on a free port of the loopback interface until shut down."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"file_server": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}/weights.pt"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file_server: FileServer

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        server = self.file_server
        server.requests.append(self.headers)
        if server.status:
            self.send_error(server.status.pop(0))
            return
        tag = f'"{hashlib.sha256(server.content).hexdigest()[:16]}"'
        first = self._first_byte(tag)
        if first is not None and first >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.content[first or 0 :]
        self.send_response(200 if first is None else 206)
        self.send_header("Content-Type", server.content_type)
        if server.etag:
            self.send_header("ETag", tag)
        if first is not None:
            self.send_header("Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}")
        if server.announce_length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self._send(body)

    def _first_byte(self, tag: str) -> int | None:
        asked = self.headers.get("Range")
        if asked is None or not self.file_server.ranges or self.headers.get("If-Range", tag) != tag:
            return None
        return int(asked.removeprefix("bytes=").split("-")[0])

    def _send(self, body: bytes) -> None:
        server = self.file_server
        limit = server.cut_after.pop(0) if server.cut_after else len(body)
        for start in range(0, min(limit, len(body)), 65536):
            if server.while_sending is not None:
                server.while_sending(start)
            self.wfile.write(body[start : min(start + 65536, limit)])
        if limit < len(body) or not server.announce_length:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
