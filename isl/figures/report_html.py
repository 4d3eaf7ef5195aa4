"""Pieces of the report's page: pictures, sliders, tiles."""

import base64
import dataclasses
import html
from collections.abc import Sequence

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"RIFF": "webp"}
TILE_COLUMNS = ("Transmitted light", "True", "Predicted", "Difference")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture with its caption.

    Attributes:
        caption: Plain text.
        data: Bytes of a PNG or WebP file.
    """

    caption: str
    data: bytes


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Pictures of one place, to be compared with a slider.

    Attributes:
        caption: Plain text.
        aspect: Width of the pictures over their height.
        light: Transmitted light, bytes of a PNG or WebP file.
        truth: The true label, likewise, of the same size.
        prediction: The predicted label, likewise.
    """

    caption: str
    aspect: float
    light: bytes
    truth: bytes
    prediction: bytes


def image(data: bytes, alternative: str, css_class: str = "") -> str:
    """Returns an image with its data inside.

    Args:
        data: Bytes of a PNG or WebP file.
        alternative: Text for those who do not see it.
        css_class: Its class, if any.

    Raises:
        ValueError: If the bytes are of another kind of file.
    """
    kinds = [
        kind
        for start, kind in _SIGNATURES.items()
        if data[:8][: len(start)] == start
    ]
    if not kinds:
        raise ValueError(
            f"{alternative!r} must be the bytes of a PNG or WebP file. "
            f"Received: {data[:8]!r}"
        )
    text = base64.b64encode(data).decode("ascii")
    css = f" class='{css_class}'" if css_class else ""
    return (
        f"<img{css} alt='{html.escape(alternative)}' "
        f"src='data:image/{kinds[0]};base64,{text}'>"
    )


def figure(picture: Picture) -> str:
    """Returns a picture with its caption below."""
    return (
        f"<figure>{image(picture.data, picture.caption)}"
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>\n"
    )


def slider(comparison: Comparison) -> str:
    """Returns a slider between truth and prediction.

    Left of the line is the truth (or transmitted light), right of it the
    prediction.
    """
    name = html.escape(comparison.caption)
    parts = (
        image(comparison.truth, f"True: {comparison.caption}"),
        image(comparison.light, f"Input: {comparison.caption}", "light"),
        image(
            comparison.prediction, f"Predicted: {comparison.caption}", "over"
        ),
    )
    return (
        "<figure class='compare' "
        f"style='--aspect: {comparison.aspect:.3f}'>"
        f"<div class='stage'>{''.join(parts)}"
        "<span class='tag left'><span class='when-true'>true</span>"
        "<span class='when-light'>transmitted light</span></span>"
        "<span class='tag right'>predicted</span></div>"
        "<input type='range' min='0' max='100' value='50' "
        "aria-label='Truth to the left of the line, prediction to the right: "
        f"{name}'>"
        "<label><input type='checkbox'> transmitted light instead of the "
        f"truth</label><figcaption>{name}</figcaption></figure>\n"
    )


def tiles(title: str, pictures: Sequence[Picture]) -> str:
    """Returns strips of `TILE_COLUMNS`, one below the other, with a title."""
    names = "".join(f"<span>{name}</span>" for name in TILE_COLUMNS)
    strips = "".join(
        f"{image(p.data, f'{title}: {p.caption}')}"
        f"<p class='values'>{html.escape(p.caption)}</p>"
        for p in pictures
    )
    return (
        f"<div class='tiles'><h3>{html.escape(title)}</h3>"
        f"<div class='names'>{names}</div>{strips}</div>\n"
    )
