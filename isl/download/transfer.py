"""Downloading files whole: resumed where they broke off, and verified.

Bytes go to `NAME.part` beside the target, which gets its own name when size
and checksum are right. One process at a time may work on a folder.
"""

import base64
import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import shutil
import threading
from collections.abc import Mapping, Sequence

import google_crc32c
import tqdm

from isl.download.bucket import Bucket, RemoteFile
from isl.download.connection import (
    InterruptedTransferError,
    Patience,
    StoppedError,
    open_url,
    retry,
)
from isl.errors import InputError

_CHUNK_BYTES = 2**18

# A file whose content is wrong although all bytes came is fetched anew. That
# heals a bad part of an earlier run and a bad connection; a third time would
# not be chance.
_NUM_TRANSFERS = 3


@dataclasses.dataclass(frozen=True)
class DownloadSummary:
    """What `download_files` did.

    Attributes:
        num_downloaded: Files that were fetched, in whole or their rest.
        num_present: Files that were there already, whole.
        num_unverified: Files of which the bucket tells no checksum, so that
            only their size was compared.
    """

    num_downloaded: int
    num_present: int
    num_unverified: int


def download_files(
    bucket: Bucket,
    files: Sequence[RemoteFile],
    output_dir: str | os.PathLike,
    num_workers: int = 8,
    patience: Patience | None = None,
    show_progress: bool = False,
) -> DownloadSummary:
    """Downloads files of a bucket into a folder, under their names.

    A file that is there with the right size and checksum stays; any other is
    taken for an unfinished one. A file that cannot be had does not keep the
    others from being downloaded, a lost connection does.

    Args:
        bucket: The bucket.
        files: Its files, from `list_files`.
        output_dir: The folder; their folders are created in it.
        num_workers: Files at once, at least 1.
        patience: How often a busy server is asked again.
        show_progress: Whether to draw a progress bar on standard error.

    Raises:
        InputError: If there is no room on the disk, a name leads out of the
            folder, or files are missing or wrong in the bucket (the first
            is named; the others are complete then).
        ConnectionError: If the server cannot be reached. What has come is
            kept and the same call continues.
    """
    if num_workers < 1:
        raise InputError(
            f"num_workers: must be at least 1. Received: {num_workers}."
        )
    targets = {_target(output_dir, file.name): file for file in files}
    _check_room(output_dir, targets)
    with tqdm.tqdm(
        desc="download",
        total=sum(file.size for file in targets.values()),
        unit="B",
        unit_scale=True,
        disable=not show_progress,
    ) as bar:
        results = _download_all(
            _Downloader(bucket, patience or Patience(), bar, threading.Event()),
            targets,
            num_workers,
        )
    return DownloadSummary(
        num_downloaded=results.count(True),
        num_present=results.count(False),
        num_unverified=sum(
            not (file.md5 or file.crc32c) for file in targets.values()
        ),
    )


def find_mismatch(path: str | os.PathLike, remote: RemoteFile) -> str | None:
    """Compares a file with what the bucket says of it.

    Args:
        path: The file, which must exist.
        remote: Size and checksum to expect. The MD5 is compared or, without
            one, the CRC-32C; without both, the size alone.

    Returns:
        None if they agree, else what was expected and received.
    """
    size = os.path.getsize(path)
    if size != remote.size:
        return f"size must be {remote.size} bytes. Received: {size}."
    if remote.md5:
        name, expected = "MD5", remote.md5
        checksum = hashlib.md5(usedforsecurity=False)
    elif remote.crc32c:
        name, expected = "CRC-32C", remote.crc32c
        checksum = google_crc32c.Checksum()
    else:
        return None
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
    received = base64.b64encode(checksum.digest()).decode("ascii")
    if received == expected:
        return None
    return f"{name} must be {expected}. Received: {received}."


@dataclasses.dataclass(frozen=True)
class _Downloader:
    bucket: Bucket
    patience: Patience
    bar: tqdm.tqdm
    stop: threading.Event

    def download(self, remote: RemoteFile, target: pathlib.Path) -> bool:
        # Returns whether anything had to be fetched.
        if self.stop.is_set():
            raise StoppedError
        try:
            return self._download(remote, target)
        except InputError:
            raise
        except BaseException:
            self.stop.set()
            raise

    def _download(self, remote: RemoteFile, target: pathlib.Path) -> bool:
        part = _part_of(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if find_mismatch(target, remote) is None:
                self._count(remote.size)
                return False
            os.replace(target, part)
        self._count(_size(part))
        for _ in range(_NUM_TRANSFERS):
            retry(
                lambda: self._fetch_rest(remote, part),
                self.patience,
                self.stop,
                lambda: _size(part),
            )
            mismatch = find_mismatch(part, remote)
            if mismatch is None:
                os.replace(part, target)
                return True
            self._start_over(part)
        part.unlink()
        raise InputError(f"{self.bucket.file_url(remote.name)}: {mismatch}")

    def _fetch_rest(self, remote: RemoteFile, part: pathlib.Path) -> None:
        # Appends to the part until it has the full size, or more where the
        # server sends more: the comparison that follows finds it.
        received = _size(part)
        if received and received >= remote.size:
            return
        url = self.bucket.file_url(remote.name)
        with open_url(url, self.patience.timeout_seconds, received) as answer:
            if received and not _begins_at(answer.headers, received):
                self._start_over(part)
                received = 0
            with open(part, "ab") as file:
                while chunk := answer.read1(_CHUNK_BYTES):
                    file.write(chunk)
                    received += len(chunk)
                    self._count(len(chunk))
                    if self.stop.is_set():
                        raise StoppedError
                    if received > remote.size:
                        return
        if received < remote.size:
            raise InterruptedTransferError(
                f"{url}: connection must last for {remote.size} bytes. "
                f"Received: {received}."
            )

    def _start_over(self, part: pathlib.Path) -> None:
        self._count(-_size(part))
        os.truncate(part, 0)

    def _count(self, num_bytes: int) -> None:
        # tqdm counts with `+=`, which threads may not do together.
        with self.bar.get_lock():
            self.bar.update(num_bytes)


def _download_all(
    downloader: _Downloader,
    targets: Mapping[pathlib.Path, RemoteFile],
    num_workers: int,
) -> list[bool]:
    results, failures = [], []
    with concurrent.futures.ThreadPoolExecutor(num_workers) as pool:
        futures = [
            pool.submit(downloader.download, remote, target)
            for target, remote in targets.items()
        ]
        try:
            for future in concurrent.futures.as_completed(futures):
                try:
                    results.append(future.result())
                except InputError as error:
                    failures.append(error)
                except StoppedError:
                    pass  # The reason is the exception of another future.
        except BaseException:
            downloader.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        also = f" And {len(failures) - 1} more." if len(failures) > 1 else ""
        raise InputError(f"{failures[0]}{also}") from failures[0]
    return results


def _target(output_dir: str | os.PathLike, name: str) -> pathlib.Path:
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\\" in name or ":" in name:
        raise InputError(
            "name in the bucket: must be a plain relative path. "
            f"Received: {name!r}."
        )
    return pathlib.Path(output_dir, *parts)


def _part_of(target: pathlib.Path) -> pathlib.Path:
    return target.with_name(f"{target.name}.part")


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _begins_at(headers: Mapping[str, str], first_byte: int) -> bool:
    # Only an answer with this header is the wanted rest; a server that
    # ignores `Range` sends the whole file without it.
    content = headers.get("Content-Range", "")
    return content.startswith(f"bytes {first_byte}-")


def _check_room(
    output_dir: str | os.PathLike, targets: Mapping[pathlib.Path, RemoteFile]
) -> None:
    os.makedirs(output_dir, exist_ok=True)
    needed = 0
    for target, remote in targets.items():
        present = max(_size(target), _size(_part_of(target)))
        needed += max(0, remote.size - present)
    free = shutil.disk_usage(output_dir).free
    if needed > free:
        raise InputError(
            f"{output_dir}: disk must have {needed / 1e9:.1f} GB of room. "
            f"Received: {free / 1e9:.1f} GB."
        )
