"""A real object store on this machine: S3's own protocol, as spoken by moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an empty bucket, and yield its URL; where the endpoint is stands in the environment, as on a cluster."""
    s3fs = pytest.importorskip("s3fs", reason="pip install --group test-object-store")
    moto = pytest.importorskip("moto.server", reason="pip install --group test-object-store")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "nobody"),
            ("AWS_SECRET_ACCESS_KEY", "nothing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        files = s3fs.S3FileSystem()
        files.mkdir("microscope")
        yield "s3://microscope"
        # servers of one process share what they hold
        files.invalidate_cache()
        files.rm("microscope", recursive=True)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
