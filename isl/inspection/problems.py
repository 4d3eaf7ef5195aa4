"""What can be wrong with images, how bad it is, and what to do."""

import dataclasses

ERROR = "error"
WARNING = "warning"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        level: `ERROR` if the images cannot be used as they are, else
            `WARNING`.
        advice: What to do about it.
    """

    level: str
    advice: str


# Every kind that is known; tests/test_inspection.py makes each of them.
KINDS = {
    "unreadable": Kind(ERROR, "export or copy the file again"),
    "not_grey": Kind(ERROR, "export one grey image a channel, not a picture"),
    "wrong_type": Kind(
        ERROR,
        "export 8 or 16 bits, unsigned, or normalise with "
        "experiments/prepare.py",
    ),
    "wrong_name": Kind(ERROR, "rename the file, or give a spec with a pattern"),
    "two_files": Kind(ERROR, "remove or rename one of the files"),
    "outside": Kind(ERROR, "give the folder that holds all images as input"),
    "missing_well": Kind(ERROR, "copy the well, or take it out of the spec"),
    "missing_plane": Kind(ERROR, "copy the missing planes, or drop the well"),
    "missing_label": Kind(
        ERROR, "copy the label, or list the labels of this well in the spec"
    ),
    "label_without_input": Kind(
        ERROR, "copy the transmitted light, or name its channel in a spec"
    ),
    "sizes_differ": Kind(ERROR, "crop, or register and stitch all alike"),
    "region_outside": Kind(ERROR, "correct rows and columns in the spec"),
    "constant": Kind(ERROR, "look whether shutter and filter were open"),
    "modality": Kind(ERROR, "keep one kind of transmitted light a well"),
    "input_without_label": Kind(
        WARNING, "predict from it, but do not train on it"
    ),
    "unknown_channels": Kind(
        WARNING, "name the channel of transmitted light in a spec (channels)"
    ),
    "unmatched_name": Kind(
        WARNING, "give a spec with a pattern, if it belongs to the wells"
    ),
    "saturated": Kind(WARNING, "expose shorter: what is cut off is lost"),
    "black": Kind(WARNING, "crop black borders; raise the camera's offset"),
    "not_measured": Kind(
        WARNING, "look at the images after experiments/prepare.py"
    ),
    "z_order": Kind(WARNING, "check how z is numbered in the names"),
    "intensity": Kind(WARNING, "normalise with experiments/prepare.py"),
    "duplicate": Kind(WARNING, "find out which of the files is the copy"),
    "types_differ": Kind(WARNING, "export all planes with the same bits"),
    "pixel_sizes_differ": Kind(WARNING, "use one spec for each pixel size"),
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with an image or a well.

    Attributes:
        kind: A key of `KINDS`.
        well: Name of the well; empty if it is about no single one.
        path: The file or folder.
        what: What is wrong, with the values that tell.
    """

    kind: str
    well: str
    path: str
    what: str

    @property
    def level(self) -> str:
        """`ERROR` or `WARNING`."""
        return KINDS[self.kind].level

    @property
    def advice(self) -> str:
        """What to do about it."""
        return KINDS[self.kind].advice
