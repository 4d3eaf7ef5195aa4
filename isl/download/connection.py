"""Requests to a server that may drop the connection or be busy."""

import contextlib
import dataclasses
import http.client
import random
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import TypeVar

from isl.errors import InputError

# Timeout of the request, too many requests; 500 and above is the server's
# own trouble. All of them may pass.
_BUSY = (408, 429)

_DROPPED = (
    http.client.HTTPException,
    urllib.error.URLError,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)

T = TypeVar("T")


class InterruptedTransferError(Exception):
    """A request failed in a way that may pass; another may succeed."""


class StoppedError(Exception):
    """Another thread asked this one to stop."""


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a server is waited for and how often it is asked again.

    Attributes:
        timeout_seconds: Without a byte for so long, a connection is dead.
        num_attempts: Failures in a row, without progress, that end it.
        first_delay_seconds: Wait after the first failure; doubles with each
            further one.
        max_delay_seconds: The longest wait.
    """

    timeout_seconds: float = 60.0
    num_attempts: int = 8
    first_delay_seconds: float = 1.0
    max_delay_seconds: float = 60.0

    def delay_seconds(self, num_failures: int) -> float:
        """Returns the wait after so many failures in a row.

        It is drawn from the upper half of the range, so that workers that
        failed together do not come back together.
        """
        # A power of a large count would overflow.
        doublings = min(num_failures - 1, 30)
        longest = min(
            self.first_delay_seconds * 2**doublings, self.max_delay_seconds
        )
        return longest * random.uniform(0.5, 1.0)


@contextlib.contextmanager
def open_url(
    url: str, timeout_seconds: float, first_byte: int = 0
) -> Iterator[http.client.HTTPResponse]:
    """Opens a URL; what breaks off inside the block is told apart.

    Args:
        url: What to get.
        timeout_seconds: Without a byte for so long, the request fails.
        first_byte: Where to begin. A server may ignore it: its status is
            then 200 in place of 206.

    Raises:
        InputError: If the server refuses for good (not found, forbidden).
        InterruptedTransferError: If the connection cannot be made, breaks
            off inside the block, or the server is busy.
    """
    headers = {"Range": f"bytes={first_byte}-"} if first_byte else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        error.close()
        message = f"{url}: server must send the file. Received: {error}."
        if error.code in _BUSY or error.code >= 500:
            raise InterruptedTransferError(message) from error
        raise InputError(message) from error
    except _DROPPED as error:
        raise InterruptedTransferError(
            f"{url}: connection must last. Received: {error}."
        ) from error


def retry(
    attempt: Callable[[], T],
    patience: Patience,
    stop: threading.Event,
    count_progress: Callable[[], int] = lambda: 0,
) -> T:
    """Calls until it succeeds, waiting longer after each failure.

    Args:
        attempt: Raises `InterruptedTransferError` where another may succeed.
        patience: How often and how long.
        stop: Ends the waiting when set.
        count_progress: A number that grows while attempts, though they fail,
            get further than ever before; then failures are counted anew.

    Returns:
        What `attempt` returns.

    Raises:
        ConnectionError: If too many attempts in a row failed.
        StoppedError: If `stop` was set while waiting.
    """
    num_failures = 0
    reached = count_progress()
    while True:
        try:
            return attempt()
        except InterruptedTransferError as error:
            before, reached = reached, max(reached, count_progress())
            num_failures = 1 if reached > before else num_failures + 1
            if num_failures >= patience.num_attempts:
                raise ConnectionError(
                    f"{error} Given up after {num_failures} attempts."
                ) from error
        if stop.wait(patience.delay_seconds(num_failures)):
            raise StoppedError
