"""Places elsewhere: in this process's memory, and servers in threads of it, where their packages are installed."""

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
def forget():
    """Have the next address of a scheme opened anew, as its variables then say."""
    from bench.remote import address

    def forget(scheme):
        address.filesystem.cache_clear()
        fsspec.get_filesystem_class(scheme).clear_instance_cache()

    return forget


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
def s3(s3_server, monkeypatch, forget):
    """The address of a new bucket, which this process and those it starts have keys for."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    forget("s3")
    bucket = f"bucket-{os.getpid()}-{next(NUMBERS)}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}"


@pytest.fixture(scope="session")
def gs_server():
    """The address of a server in a thread of this process, with one bucket."""
    pytest.importorskip("gcsfs", reason="the package 'gcsfs' is not installed")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="'gcp-storage-emulator' is not installed")
    running = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    running.start()
    running._api._httpd.handle_error = lambda *_: None  # it would tell of clients that hang up
    host, port = running._api._httpd.server_address[:2]
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def gs(gs_server, monkeypatch, tmp_path, forget):
    """A folder of this test's own in the bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs_server)
    forget("gs")
    yield f"gs://bucket/{tmp_path.name}"
    forget("gs")


@pytest.fixture(params=["s3", "gs"])
def bucket(request):
    """The address of a place on a server of each kind."""
    return request.getfixturevalue(request.param)
