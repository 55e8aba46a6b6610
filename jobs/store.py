"""A store of objects, by fsspec: asked, again where it does not answer, and its errors told as the system's.

Endpoint and credentials are found by the libraries' own means alone, and no listing is remembered: others
write too.
"""

import errno
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import fsspec

from jobs.errors import Refusal, UnavailableError

PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "s3": {
        "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 4}},
        "max_concurrency": 1,  # more would ask for the size before each object that is read
    },
    "gs": {},
}
"""What is read, and with which settings of its library."""

_EXTRAS = {"s3": "s3", "gs": "gcs"}

_PAUSES = {"s3": (0.5, 1.0), "gs": ()}
"""Seconds between what the library tries in one go; that of gs tries for half a minute."""

_LIBRARIES = frozenset(
    {"aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "gcsfs", "google", "requests"}
)
"""Packages whose errors are the store's or the way's to it."""

_DENIED = ("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
_MEANS = {
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
"""How the libraries of the stores are most often given credentials."""

_NO_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "DefaultCredentialsError",
)
_TAKEN = ("412", "PreconditionFailed")

Answer = TypeVar("Answer")

# It logs what it raises as well, with all it knows.
logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
# Which is no matter to who makes no bucket.
warnings.filterwarnings("ignore", message="GCS project not set")


def ask(url: str, question: Callable[[Any, str], Answer]) -> Answer:
    """Ask the store of a URL, again where it does not answer; failures are told as of local files.

    None is chained to what the library raised: its errors carry requests and responses along.
    """
    protocol, _, path = url.partition("://")
    store = _store(protocol)
    pauses = iter(_PAUSES[protocol])
    while True:
        try:
            return question(store, path)
        except Exception as error:
            failure = _translated(error, url)
            if failure is None:
                raise
        pause = next(pauses, None)
        if pause is None or not isinstance(failure, UnavailableError):
            raise failure from None
        time.sleep(pause)


def _store(protocol: str) -> Any:
    try:
        store = fsspec.filesystem(protocol, use_listings_cache=False, **PROTOCOLS[protocol])
    except ImportError as error:
        extra = _EXTRAS[protocol]
        raise Refusal(
            f"{protocol}:// needs the extra {extra}: pip install 'dice-inspect[{extra}]'"
        ) from error
    if protocol == "s3":
        store.retries = 1  # botocore does it, and would for each of these again
    return store


def _translated(error: Exception, url: str) -> OSError | None:
    """Tell an error of a store as one of the system; None where it is none of a store."""
    code = _code(error)
    if isinstance(error, FileNotFoundError):
        told: OSError = FileNotFoundError(errno.ENOENT, "no such object or bucket", url)
    elif isinstance(error, FileExistsError) or code in _TAKEN:
        told = FileExistsError(errno.EEXIST, "there is an object already", url)
    elif code in _NO_CREDENTIALS:
        means = _MEANS[url.partition("://")[0]]
        told = PermissionError(errno.EACCES, f"no credentials were found (give them by {means})", url)
    elif isinstance(error, PermissionError) or code in _DENIED or str(error).startswith("Forbidden"):
        told = PermissionError(errno.EACCES, f"access denied ({code})", url)
    elif code == "FileExpired":
        told = OSError(errno.ESTALE, "changed while it was read", url)
    elif isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _LIBRARIES:
        told = UnavailableError(errno.EIO, f"the store does not answer as it should ({code})", url)
    else:
        return None
    return told


def _code(error: Exception) -> str:
    """Give the store's own word for an error, or else its type."""
    if type(error).__name__ == "FileExpired":  # its cause is a condition that was not met, as another's is
        return "FileExpired"
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code"))
    return str(getattr(error, "code", None) or type(error).__name__)
