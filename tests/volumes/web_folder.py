"""A folder behind a web server on this machine, which sends parts of files or, as simple ones do, only whole files."""

from __future__ import annotations

import functools
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Handler(SimpleHTTPRequestHandler):
    sends_parts = True
    asked: list[str] | None = None

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def send_head(self) -> Any:
        if self.asked is not None:
            self.asked.append(self.path)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not (self.sends_parts and asked and path.is_file()):
            return super().send_head()
        content = path.read_bytes()
        first, last = asked.groups()
        start = int(first) if first else len(content) - int(last)
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        return io.BytesIO(content[start:stop])


@contextmanager
def web_folder(folder: Path, *, sends_parts: bool = True, asked: list[str] | None = None) -> Iterator[str]:
    """Serve a folder; yields its URL. `asked` gets the path of each request, also of those for what is not there."""
    handler = type("Handler", (_Handler,), {"sends_parts": sends_parts, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder))) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
