"""A public bucket, by the JSON interface of Google Cloud Storage.

Documented at https://cloud.google.com/storage/docs/json_api/v1/objects.
Nothing is sent but the request: a public bucket needs no account.
"""

import dataclasses
import json
import threading
import urllib.parse
from typing import Any

from isl.download.connection import (
    InterruptedTransferError,
    Patience,
    open_url,
    retry,
)
from isl.errors import InputError

BASE_URL = "https://storage.googleapis.com"

_FIELDS = "items(name,size,md5Hash,crc32c),nextPageToken"


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Where files lie.

    Attributes:
        name: Name of the bucket.
        base_url: The server, without a slash at the end.
    """

    name: str
    base_url: str = BASE_URL

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise InputError(
                "base_url: must start with https:// or http://. "
                f"Received: {self.base_url!r}."
            )

    @property
    def list_url(self) -> str:
        """Where the files are listed."""
        name = urllib.parse.quote(self.name, safe="")
        return f"{self.base_url}/storage/v1/b/{name}/o"

    def file_url(self, name: str) -> str:
        """Returns where the content of a file is."""
        return f"{self.list_url}/{urllib.parse.quote(name, safe='')}?alt=media"


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file of a bucket.

    Attributes:
        name: With its folders, separated by slashes.
        size: Bytes.
        md5: MD5 of the content in base64; None where the bucket has none,
            as for files that were uploaded in pieces.
        crc32c: CRC-32C of the content, big-endian, in base64, or None.
    """

    name: str
    size: int
    md5: str | None
    crc32c: str | None


def list_files(
    bucket: Bucket, prefix: str, patience: Patience | None = None
) -> list[RemoteFile]:
    """Lists the files whose names begin with a prefix, sorted by name.

    Args:
        bucket: The bucket.
        prefix: Of the name; a folder ends with a slash, or its namesakes
            with something after them are listed, too.
        patience: How often a busy server is asked again.

    Raises:
        InputError: If the bucket does not exist, is not public, or the
            answer is no list.
        ConnectionError: If the server cannot be reached.
    """
    patience = patience or Patience()
    query = {"prefix": prefix, "fields": _FIELDS, "maxResults": "1000"}
    files = []
    while True:
        url = f"{bucket.list_url}?{urllib.parse.urlencode(query)}"
        page = _read_page(url, patience)
        files += _parse_page(url, page)
        if not page.get("nextPageToken"):
            return sorted(files, key=lambda file: file.name)
        query["pageToken"] = page["nextPageToken"]


def _parse_page(url: str, page: Any) -> list[RemoteFile]:
    try:
        return [
            RemoteFile(
                name=item["name"],
                size=int(item["size"]),
                md5=item.get("md5Hash"),
                crc32c=item.get("crc32c"),
            )
            for item in page.get("items", ())
            # An object whose name ends with a slash stands for a folder.
            if not item["name"].endswith("/")
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{url}: answer must list files with name and size. "
            f"Received: {str(page)[:120]}."
        ) from error


def _read_page(url: str, patience: Patience) -> Any:
    def attempt() -> Any:
        with open_url(url, patience.timeout_seconds) as answer:
            text = answer.read()
        try:
            return json.loads(text)
        except ValueError as error:
            raise InterruptedTransferError(
                f"{url}: answer must be JSON. Received: {text[:80]!r}."
            ) from error

    return retry(attempt, patience, threading.Event())
