"""The table of conditions: what is known of each, and from where.

Values whose source is marked as unverified (`U-...`) are shown as unknown:
they must not be taken for the paper's.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
from matplotlib.figure import Figure

from isl.figures import drawing
from isl.specs import DatasetSpec

UNKNOWN = "unknown"
# Name of the row to the key of the fact.
ROWS = {
    "Cell type": "cell_type",
    "Fixed": "fixed",
    "Transmitted light": "modality",
    "Label 1": "label_1",
    "Label 2": "label_2",
    "Label 3": "label_3",
    "z-planes": "num_z",
    "Training wells": "num_training_wells",
    "Testing wells": "num_testing_wells",
    "Field of a well, µm": "field_um",
    "Stitched image, pixels": "stitched_pixels",
    "Pixel before processing, nm": "pixel_nm_before_processing",
    "Pixel after processing, nm": "pixel_nm_after_processing",
    "Laboratory": "laboratory",
}
# The marks that data specs use for their sources.
SOURCES = {
    "P": "the paper (summary, highlights, first rows of its Table 1)",
    "R": "README of the original program",
    "C": "code of the original program",
    "M": "measured on the published images",
}
_DATA_SPEC = "the data spec"
_NAME_WIDTH, _COLUMN_WIDTH, _LINE_HEIGHT = 2.1, 1.75, 0.155
_CHARACTERS = 24


def conditions_table(specs: Sequence[DatasetSpec]) -> Figure:
    """Draws the table, a column for each data set.

    Args:
        specs: The data sets, in order.

    Returns:
        The figure; numbers in brackets lead to the sources below it.
    """
    sources: dict[str, int] = {}
    rows = [
        (name, [_cell(spec, key, sources) for spec in specs])
        for name, key in ROWS.items()
    ]
    heads = [f"{spec.condition}\n{_colour(spec)}".rstrip() for spec in specs]
    table = [("Condition", heads), *rows]
    notes = [f"[{number}] {text}" for text, number in sources.items()]
    notes.append(f"{UNKNOWN}: no source that could be checked")
    return _draw(table, notes, len(specs))


def verified(
    fact: Mapping[str, Any] | None,
) -> tuple[str, list[str]] | None:
    """Returns a fact's value and sources as text; None if it is not verified.

    Args:
        fact: `{"value": ..., "source": ...}` of a data spec, or None.
    """
    if fact is None or fact["value"] is None or not fact["source"]:
        return None
    marks = [mark.strip() for mark in fact["source"].split(";")]
    if any(mark.startswith("U-") for mark in marks):
        return None
    return _text(fact["value"]), [SOURCES.get(mark, mark) for mark in marks]


def _colour(spec: DatasetSpec) -> str:
    found = verified(spec.facts.get("colour"))
    return f"({found[0]})" if found else ""


def _cell(spec: DatasetSpec, key: str, sources: dict[str, int]) -> str:
    """Text of a cell; numbers its sources where they are new."""
    fact = spec.facts.get(key) or _from_spec(spec, key)
    found = verified(fact)
    if found is None:
        return UNKNOWN
    text, names = found
    numbers = [sources.setdefault(name, len(sources) + 1) for name in names]
    return f"{text} [{', '.join(map(str, sorted(numbers)))}]"


def _from_spec(spec: DatasetSpec, key: str) -> dict[str, Any] | None:
    """What the spec itself says where it states no fact."""
    values = {"num_z": spec.num_z, "modality": spec.modality}
    values |= {f"label_{i}": name for i, name in enumerate(spec.labels, 1)}
    if spec.pixel_size_um is not None:
        values["pixel_nm_after_processing"] = round(1000 * spec.pixel_size_um)
    return {"value": values.get(key), "source": _DATA_SPEC}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " x ".join(f"{number:,}" for number in value)
    return str(value)


def _draw(
    table: Sequence[tuple[str, Sequence[str]]],
    notes: Sequence[str],
    num_columns: int,
) -> Figure:
    wrapped = [(name, [_wrap(text) for text in cells]) for name, cells in table]
    lines = [
        max(1 + text.count("\n") for text in (name, *cells))
        for name, cells in wrapped
    ]
    width = _NAME_WIDTH + _COLUMN_WIDTH * num_columns + 0.2
    notes = [_wrap(note, int(13 * width)) for note in notes]
    num_note_lines = sum(1 + note.count("\n") for note in notes)
    row_gap = 0.5
    height = _LINE_HEIGHT * (sum(lines) + row_gap * len(lines)) + 0.3
    height += _LINE_HEIGHT * num_note_lines
    figure = drawing.new_figure(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.25
    for index, ((name, cells), count) in enumerate(
        zip(wrapped, lines, strict=True)
    ):
        _write(axes, 0.1, top, name, fontweight="bold")
        for column, text in enumerate(cells):
            _write(
                axes,
                _NAME_WIDTH + column * _COLUMN_WIDTH,
                top,
                text,
                fontweight="bold" if index == 0 else "normal",
                color="0.55" if text == UNKNOWN else "black",
            )
        top += _LINE_HEIGHT * (count + row_gap)
        axes.axhline(
            top - 0.95 * _LINE_HEIGHT,
            color="0.3" if index == 0 else "0.85",
            linewidth=0.7,
        )
    _write(axes, 0.1, top + 0.05, "\n".join(notes), fontsize=7, color="0.25")
    return figure


def _write(
    axes: matplotlib.axes.Axes, left: float, top: float, text: str, **style
) -> None:
    """Writes lines; `top` is the baseline of the first."""
    for index, line in enumerate(text.split("\n")):
        axes.text(
            left, top + index * _LINE_HEIGHT, line, **({"fontsize": 8} | style)
        )


def _wrap(text: str, width: int = _CHARACTERS) -> str:
    return "\n".join(
        line
        for part in text.split("\n")
        for line in (textwrap.wrap(part, width) or [""])
    )
