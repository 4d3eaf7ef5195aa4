"""What the bucket of the paper holds, and which part of it is wanted.

Folders of the images of a condition stand in its data spec
(`data_specs/condition_a.json` to `condition_e.json`, `well_folders`).
"""

import pathlib
import re
from collections.abc import Collection, Iterable

from isl.download.bucket import Bucket, RemoteFile, list_files
from isl.download.connection import Patience
from isl.errors import InputError
from isl.specs import DatasetSpec, list_splits

# Original: README.md, "Data" (BUILD_NOTES C5 for what the weights are).
BUCKET_NAME = "in-silico-labeling"
ARCHIVES = {"checkpoints": "checkpoints.zip", "sample": "data_sample.zip"}

# Original: data.md. The predictions are medians, by the authors' network.
KINDS = ("ORIGINAL", "PREDICTED")


def list_archive(
    bucket: Bucket, what: str, patience: Patience | None = None
) -> list[RemoteFile]:
    """Lists one of `ARCHIVES`: a list of one file.

    Raises:
        InputError: If the bucket does not have it.
        ConnectionError: If the server cannot be reached.
    """
    name = ARCHIVES[what]
    files = list_files(bucket, name, patience)
    archive = [file for file in files if file.name == name]
    if not archive:
        raise InputError(
            f"{bucket.list_url}: must hold {name}. "
            f"Received: {len(files)} files of that name."
        )
    return archive


def list_split(
    bucket: Bucket,
    spec: DatasetSpec,
    split: str,
    kinds: Collection[str] = ("ORIGINAL",),
    wells: Collection[str] = (),
    patience: Patience | None = None,
) -> list[RemoteFile]:
    """Lists the single-channel images of a split of a condition.

    Args:
        bucket: The bucket.
        spec: Of the condition; its `well_folders` are folders of the bucket.
        split: A split of the spec.
        kinds: Of `KINDS`: the images, the predictions of the authors. A file
            whose name tells no kind is listed always.
        wells: Names of wells, as the file names spell them; all if empty.
        patience: How often a busy server is asked again.

    Raises:
        InputError: If there is no such kind or split, or nothing is found.
        ConnectionError: If the server cannot be reached.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(
                f"kinds: must be of {', '.join(KINDS)}. Received: {kind!r}."
            )
    if split not in spec.well_folders:
        raise InputError(
            f"split: must be one of {', '.join(list_splits(spec))}. "
            f"Received: {split!r}."
        )
    files = []
    for folder in spec.well_folders[split]:
        # The slash keeps kevan_0_10 out of kevan_0_1.
        files += list_files(bucket, f"{folder.rstrip('/')}/", patience)
    chosen = list(_select(files, kinds, wells))
    if not chosen:
        found = sorted({_field(file, "well") or "(no name)" for file in files})
        raise InputError(
            f"condition {spec.condition}, {split}: no file of "
            f"{', '.join(kinds)} and of wells {', '.join(wells) or '(all)'} "
            f"is in the bucket. Received: {len(files)} files of wells "
            f"{', '.join(found) or '(none)'}."
        )
    return chosen


def _select(
    files: Iterable[RemoteFile], kinds: Collection[str], wells: Collection[str]
) -> Iterable[RemoteFile]:
    for file in files:
        kind = _field(file, "kind")
        if kind is not None and kind not in kinds:
            continue
        if not wells or _field(file, "well") in wells:
            yield file


def _field(file: RemoteFile, key: str) -> str | None:
    # Both published spellings: `key-X` and `key,value-X`.
    name = pathlib.PurePosixPath(file.name).stem
    match = re.search(rf"(?:^|,){key}(?:,value)?-([^,]+)", name)
    return match[1] if match else None
