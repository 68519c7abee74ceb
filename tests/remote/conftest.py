"""Places elsewhere: in this process's memory, and an S3 server in a thread of it where moto is installed."""

import itertools
import os
import uuid

import fsspec
import pytest

KEYS = {
    "AWS_ACCESS_KEY_ID": "an-access-key",
    "AWS_SECRET_ACCESS_KEY": "a-very-secret-key",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Caches and stores' copies of this test's own."""
    from bench.remote import blocks

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(blocks, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(blocks, "_HELD", blocks._Held())


@pytest.fixture
def memory():
    """An address of this test's own, in memory."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server; its buckets end with the session."""
    pytest.importorskip("s3fs", reason="the package 's3fs' is not installed, extra storage")
    server = pytest.importorskip("moto.server", reason="the package 'moto' is not installed, nor its server")
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


NUMBERS = itertools.count()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The address of a new bucket, which this process and those it starts have keys for."""
    from bench.remote import address

    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    address.filesystem.cache_clear()
    fsspec.filesystem("s3").clear_instance_cache()
    bucket = f"bucket-{os.getpid()}-{next(NUMBERS)}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}"
