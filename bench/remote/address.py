"""Addresses as ``s3://bucket/folder``: told from paths, refused where they hold a secret, opened by fsspec.

Nothing here imports fsspec before an address is opened: the extra ``storage`` is for those who have such places.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from bench.errors import BenchError, StorageError, UsageError, unknown
from bench.system.text import one_line

# A path object has made one slash of two, and none where nothing follows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+(?:::[A-Za-z0-9+.-]+)*):/{1,3}(.*)", re.DOTALL)
_NO_PLACE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):()")

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "hf", "memory"})
"""Schemes whose files appear whole or not at all when they are written, and whose folders need not be made."""

HOSTED = frozenset({"sftp", "ssh", "smb"})
"""Schemes whose addresses begin with a host: their file system is one connection to it."""

WEB = frozenset({"http", "https"})
"""Schemes whose places are whole addresses, quoted, and whose lists are pages of links that tell names alone."""

PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "'multilabel-bench[storage]'"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("ssh", "sftp"), "paramiko"),
    "hf": "huggingface_hub",
    "oss": "ossfs",
    "oci": "ocifs",
    "smb": "smbprotocol",
}
"""What reads a scheme, beside fsspec itself."""

KEYS = (
    "Try: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; FSSPEC_S3_ANON=1 where anybody may read;"
    " for gs:// GOOGLE_APPLICATION_CREDENTIALS, for hf:// HF_TOKEN"
)

_NO_KEYS = re.compile("NoCredentials|PartialCredentials|DefaultCredentials|CredentialRetrieval|ProfileNotFound|NoAuth")
_NO_NETWORK = re.compile("Connect|Timeout|EndpointConnection|ServerDisconnected|ClientOSError|IncompleteRead|gaierror")
_TURNS = threading.RLock()
"""Of what a connection is asked for: of two threads that wait at once, each would read the other's answer."""

_SECRET = re.compile("SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|_KEY|SAS")


def is_remote(place: str | PurePath) -> bool:
    """Return whether ``place`` is an address, as it was typed or as a path has it.

    >>> [is_remote(place) for place in ("s3://bucket/runs", PurePath("memory://x"), PurePath("s3://"))]
    [True, True, True]
    >>> [is_remote(place) for place in ("runs", "C:/runs", "photos:")]
    [False, False, False]
    """
    return _parts(place) is not None


def _parts(place: str | PurePath) -> re.Match[str] | None:
    """Return the match whose groups are scheme and rest; of a known scheme also where no place follows."""
    text = str(place)
    bare = _NO_PLACE.fullmatch(text)
    return bare if bare and bare[1].lower() in {*PACKAGES, "memory"} else _ADDRESS.fullmatch(text)


def normal(place: str | PurePath) -> str:
    """Return an address as ``scheme://place``. Raises ``UsageError`` for one that is none, leaves its place by ``..``
    or holds a secret, which is not repeated.

    >>> normal(PurePath("s3://bucket//runs/"))
    's3://bucket/runs'
    """  # noqa: D205 - one sentence
    found = _parts(place)
    if found is None:
        raise UsageError(f"found '{place}', allowed: an address as s3://bucket/folder")
    scheme, rest = found[1].lower(), found[2]
    if "::" in scheme:
        raise UsageError(f"found an address of '{scheme}', allowed: one scheme, as s3://bucket/folder")
    if _holds_secret(scheme, rest):
        raise UsageError(
            f"{scheme}://...: the address holds a name or password before '@', which would be stored and shown."
            f" Write it without. {KEYS}"
        )
    if "?" in rest or "#" in rest:
        raise UsageError(
            f"{scheme}://{rest.partition('?')[0].partition('#')[0]}: found '?' or '#', behind which keys are written."
            f" Allowed: scheme://place/folder. {KEYS}"
        )
    parts = [part for part in rest.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise UsageError(f"{scheme}://{rest}: found '..', allowed: the whole address, without it")
    if not rest.isprintable():
        raise UsageError(f"{scheme}://{one_line(rest)}: found a control character in the address")
    if not parts:
        raise UsageError(f"{scheme}://: found no bucket or folder. Try: {scheme}://BUCKET/FOLDER")
    return f"{scheme}://{'/' * (scheme in {'file', 'local'})}{'/'.join(parts)}"


def _holds_secret(scheme: str, rest: str) -> bool:
    """Return whether a name with a password, which may hold slashes, or a key stands before the place itself."""
    host = rest.partition("/")[0]
    if "@" in host:
        user = host.rpartition("@")[0]
        return ":" in user or scheme in {"s3", "s3a", "gs", "gcs"}
    return "@" in rest and ":" in host and re.fullmatch(r"[^:]+:\d{1,5}", host) is None


def as_path(place: str | Path) -> Path:
    """Return ``place`` as a path; an address as ``s3://bucket/folder`` as one to read by what ``pathlib`` offers.

    That is ``is_file``, ``iterdir``, ``glob``, ``open`` and what is built of them; ``os`` knows nothing of it. Raises
    ``UsageError`` for an address that holds a secret or ``..``, or whose scheme needs a package that is not installed.
    """
    if not is_remote(place):
        return Path(place)
    from bench.remote.paths import data_root

    return data_root(place)


def check_scheme(scheme: str) -> None:
    """Raise ``UsageError`` where fsspec is not installed, or knows no such scheme."""
    try:
        import fsspec
    except ModuleNotFoundError:
        raise UsageError(
            f"{scheme}://: the package 'fsspec' is not installed. Try: pip install 'multilabel-bench[storage]'"
        ) from None
    if scheme not in fsspec.available_protocols():
        raise unknown("kind of storage", scheme, {*PACKAGES, "file", "memory"}, "See: docs/storage.md")


def scheme_of(address: str) -> str:
    """Return the scheme of an address as ``normal`` gives it."""
    return address.partition("://")[0]


@cache
def filesystem(scheme: str, host: str = "") -> Any:
    """Return fsspec's file system of a scheme. Raises ``UsageError`` that names the package which is not installed."""
    check_scheme(scheme)
    import fsspec

    address = f"{scheme}://{host}"
    with reaching(address, "open"):
        try:
            of_host = fsspec.get_filesystem_class(scheme)._get_kwargs_from_urls(f"{address}/") if host else {}
            system = fsspec.filesystem(scheme, **of_host)
            for library in (type(system).__module__.partition(".")[0], PACKAGES.get(scheme, "fsspec")):
                # What it logs as it tries again, with tracebacks, would stand beside the one line that tells of it.
                logging.getLogger(library).addHandler(logging.NullHandler())
            if scheme in {"s3", "s3a"}:
                system.retries = 2  # loops of five stand in one another: a lost network took ten minutes to be told
            return system
        except ImportError as error:
            package = PACKAGES.get(scheme)
            if package is None:  # fsspec's words name what it needs
                raise UsageError(
                    f"{scheme}://: {one_line(str(error))}. Try: pip install these, or an address as s3://bucket/folder"
                ) from None
            raise UsageError(
                f"{scheme}://: the package that reads it is not installed. Try: pip install {package}"
            ) from None
        except TypeError:  # it lacks arguments
            raise UsageError(
                f"{scheme}://: fsspec needs more than an address for it. Allowed: s3://bucket/folder and its like."
                " See: docs/storage.md"
            ) from None


def opened(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and what it calls the place there."""
    scheme, _, place = address.partition("://")
    host, _, path = place.partition("/")
    if scheme in HOSTED:
        return filesystem(scheme, host), f"/{path}"
    if scheme in WEB:
        return filesystem(scheme), f"{scheme}://{host}/{quote(path)}"
    return filesystem(scheme), ("/" + place if scheme == "memory" else place)


@contextlib.contextmanager
def reaching(address: str, doing: str, kept: str = "") -> Iterator[None]:
    """Turn whatever a storage library raises into a ``StorageError`` of one line; ``kept`` ends it.

    The project's own errors and ``FileNotFoundError`` of what was looked for pass.
    """
    hosted = scheme_of(address) in HOSTED
    try:
        with _TURNS if hosted else contextlib.nullcontext():
            yield
    except (BenchError, ImportError):
        raise
    except Exception as error:
        raise StorageError(f"cannot {doing} {address}: {why(error)}{kept and '. '}{kept}") from error


def why(error: BaseException) -> str:
    """Return in one line what is wrong and, where that is known, what to type; no secret is in it."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    names = " ".join(kind.__name__ for one in chain for kind in type(one).__mro__)
    text = without_secrets(one_line(str(error)) or type(error).__name__)[:400].rstrip(". ")
    if _NO_KEYS.search(names) or "credentials" in text.lower():
        return f"no credentials ({text}). {KEYS}"
    if isinstance(error, FileNotFoundError):
        return "no such bucket, folder or file"
    if isinstance(error, PermissionError):
        return f"no access ({text}). {KEYS}"
    if _NO_NETWORK.search(names):
        return f"no network, or it was lost ({text})"
    return text


def without_secrets(text: str) -> str:
    """Return ``text`` without what is a key: values of variables that are called so, and what addresses hold."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET.search(name.upper()):
            text = text.replace(value, "***")
    text = re.sub(r"://[^/@\s]+@", "://***@", text)
    return re.sub(r"(?i)([?&](?:x-amz-|sig|token|key|password)[^=\s&]*=)[^&\s]+", r"\1***", text)
