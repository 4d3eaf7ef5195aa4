r"""Downloads the published images, sample and checkpoints (CC BY 4.0).

    python experiments/download.py --condition=B --split=train \
        --output_dir=published --list
    python experiments/download.py --condition=B --split=train \
        --output_dir=published
    python experiments/download.py --what=checkpoints --output_dir=published

With `--list`, prints names and sizes and downloads nothing. Otherwise writes
the files under their names in the bucket, so that `--output_dir` is the
`--image_root` of `data_specs/condition_b.json` (of `--condition`). Run it
again after a break: files that are whole are compared and kept, half ones
(`NAME.part`) are continued. Sizes and checksums are verified. The two
archives are for `python -m zipfile -e published/checkpoints.zip published`.

The single-channel images of 16 bits are taken, without the predictions of
the authors unless `--kinds=ORIGINAL,PREDICTED`.
"""

import pathlib

from absl import flags

from isl import command_line
from isl.download import published, transfer
from isl.download.bucket import BASE_URL, Bucket, RemoteFile
from isl.errors import InputError
from isl.specs import load_dataset_spec

_DATA_SPECS = pathlib.Path(__file__).resolve().parents[1] / "data_specs"

_WHAT = flags.DEFINE_enum(
    "what", "data", ["data", *published.ARCHIVES], "Images, or an archive."
)
_CONDITION = flags.DEFINE_enum(
    "condition", None, list("ABCDE"), "Condition of the paper."
)
_SPLIT = flags.DEFINE_enum(
    "split", None, ["train", "test"], "Wells for training, or for testing."
)
_KINDS = flags.DEFINE_list(
    "kinds", ["ORIGINAL"], "ORIGINAL images, PREDICTED ones, or both."
)
_WELLS = flags.DEFINE_list("wells", [], "Wells, such as A4; all by default.")
_OF_DATA = (_CONDITION, _SPLIT, _KINDS, _WELLS)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where files go.")
_LIST = flags.DEFINE_bool("list", False, "Print names and sizes only.")
_NUM_WORKERS = flags.DEFINE_integer("num_workers", 8, "Files at once.")
_BASE_URL = flags.DEFINE_string("base_url", BASE_URL, "Server, or a mirror.")


def main() -> None:
    if not _LIST.value and _OUTPUT_DIR.value is None:
        raise InputError("output_dir: must be given, unless --list is.")
    bucket = Bucket(published.BUCKET_NAME, _BASE_URL.value.rstrip("/"))
    files = _list_wanted(bucket)
    size = sum(file.size for file in files)
    if _LIST.value:
        for file in files:
            print(f"{file.size:13,}  {file.name}")
        print(f"{size:13,}  bytes in {len(files)} files")
        return
    summary = transfer.download_files(
        bucket,
        files,
        _OUTPUT_DIR.value,
        num_workers=_NUM_WORKERS.value,
        show_progress=True,
    )
    message = (
        f"{_OUTPUT_DIR.value}: {summary.num_downloaded} files downloaded, "
        f"{summary.num_present} already there, {size / 1e9:.3f} GB in all"
    )
    if summary.num_unverified:
        message += f"; {summary.num_unverified} have no checksum in the bucket"
    print(message)


def _list_wanted(bucket: Bucket) -> list[RemoteFile]:
    if _WHAT.value != "data":
        command_line.refuse(_OF_DATA, "unless --what=data")
        return published.list_archive(bucket, _WHAT.value)
    for flag in _OF_DATA[:2]:
        if flag.value is None:
            raise InputError(f"{flag.name}: must be given with --what=data.")
    name = f"condition_{_CONDITION.value.lower()}.json"
    spec = load_dataset_spec(_DATA_SPECS / name)
    return published.list_split(
        bucket, spec, _SPLIT.value, _KINDS.value, _WELLS.value
    )


if __name__ == "__main__":
    command_line.run(main)
