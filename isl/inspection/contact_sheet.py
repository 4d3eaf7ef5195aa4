"""A contact sheet: small copies of the images of all wells on one page."""

import itertools
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from isl.inspection.inspection import Inspection
from isl.inspection.measuring import THUMBNAIL_SIZE
from isl.inspection.problems import ERROR
from isl.inspection.well_report import ImageReport, WellReport

# Wells (or tiles) that a sheet shows at most; of more, it shows some that
# are spread evenly.
MAX_WELLS = 200

# In pixels.
_PAGE_WIDTH = 1600
_MARGIN = 16
_GAP = 8
_LINE = 15
_FONT_SIZE = 12
_CELL = THUMBNAIL_SIZE + _GAP
# Title of the well, the thumbnail, two lines of caption.
_WELL_HEIGHT = 3 * _LINE + THUMBNAIL_SIZE + 2 * _GAP

_PAPER = "#ffffff"
_INK = "#000000"
_FAINT = "#666666"
_EMPTY = "#dddddd"
_ALARM = "#D55E00"  # Okabe and Ito: vermillion.

# The image of each channel that is shown, and of how many.
_Cells = list[tuple[ImageReport, int]]


def draw_contact_sheet(inspection: Inspection, title: str) -> Image.Image:
    """Draws a small copy of each channel of each well.

    Of a stack it shows the plane in the middle. Each copy is stretched in
    contrast by itself; the caption tells its range of intensities. Wells with
    errors have a title in another colour.

    Args:
        inspection: The inspection.
        title: What was inspected, for the first line.

    Returns:
        An RGB image, about 1600 pixels wide or as wide as the widest well.
    """
    wells = _choose(inspection.wells)
    cells = [_choose_cells(well) for well in wells]
    places = list(_iter_places([len(row) for row in cells]))
    width = max(
        (
            left + len(row) * _CELL
            for (left, _), row in zip(places, cells, strict=True)
        ),
        default=0,
    )
    height = (places[-1][1] + _WELL_HEIGHT) if places else 4 * _LINE
    size = (max(width, _PAGE_WIDTH // 2) + _MARGIN, height + _MARGIN)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    count = f"{len(wells)} of {len(inspection.wells)} wells or tiles"
    _write(draw, (_MARGIN, _MARGIN), f"{title}: {count}", _INK, size[0])
    note = (
        "the plane in the middle of each stack, and labels, each stretched in "
        "contrast; below, its least and greatest intensity (0 to 1)"
    )
    _write(draw, (_MARGIN, _MARGIN + _LINE), note, _FAINT, size[0])
    wrong = {p.well for p in inspection.problems if p.level == ERROR}
    for place, well, row in zip(places, wells, cells, strict=True):
        name = f"{well.well}, tile {well.tile}" if well.tile else well.well
        colour = _ALARM if well.well in wrong else _INK
        _write(draw, place, name, colour, len(row) * _CELL - _GAP)
        for column, cell in enumerate(row):
            corner = (place[0] + column * _CELL, place[1] + _LINE)
            _draw_cell(sheet, draw, corner, *cell)
    return sheet


def _choose(wells: Sequence[WellReport]) -> list[WellReport]:
    step = max(1.0, len(wells) / MAX_WELLS)
    return [wells[int(k * step)] for k in range(min(len(wells), MAX_WELLS))]


def _choose_cells(well: WellReport) -> _Cells:
    cells = []
    for _, group in itertools.groupby(well.images, lambda r: r.channel):
        reports = list(group)
        shown = [r for r in reports if r.measured and r.measured.thumbnail.size]
        cells.append(((shown or reports)[0], len(reports)))
    return cells


def _iter_places(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    # Left and top of each well, by its number of cells: as many in a line as
    # the page has room for.
    left, top = _MARGIN, _MARGIN + 3 * _LINE
    for length in lengths:
        if left > _MARGIN and left + length * _CELL > _PAGE_WIDTH:
            left, top = _MARGIN, top + _WELL_HEIGHT
        yield left, top
        left += length * _CELL + _GAP


def _draw_cell(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    report: ImageReport,
    num_images: int,
) -> None:
    left, top = corner
    values = report.measured
    if values is None:
        height, second = THUMBNAIL_SIZE, ""
        box = (left, top, left + THUMBNAIL_SIZE - 1, top + height - 1)
        draw.rectangle(box, fill=_EMPTY)
        place = (left + _GAP, top + height // 2)
        _write(draw, place, "cannot be read", _ALARM, THUMBNAIL_SIZE)
    else:
        thumbnail = Image.fromarray(values.thumbnail)
        scale = THUMBNAIL_SIZE / max(thumbnail.size)
        thumbnail = ImageOps.scale(thumbnail, scale)
        sheet.paste(thumbnail, corner)
        height = thumbnail.height
        second = f"{values.minimum:.3f} to {values.maximum:.3f}"
    name = report.channel.name or "(no name)"
    if num_images > 1:
        name += f", z {report.image.z} ({num_images} planes)"
    below = top + height + 1
    _write(draw, (left, below), name, _INK, THUMBNAIL_SIZE)
    _write(draw, (left, below + _LINE), second, _FAINT, THUMBNAIL_SIZE)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    colour: str,
    width: int,
) -> None:
    # Texts that are too long lose their middle.
    font = ImageFont.load_default(_FONT_SIZE)
    shown, keep = text, len(text)
    while keep > 2 and draw.textlength(shown, font) > width:
        keep -= 1
        shown = f"{text[: keep - keep // 2]}...{text[len(text) - keep // 2 :]}"
    draw.text(place, shown, colour, font)
