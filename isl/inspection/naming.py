"""Guessing what the names of image files mean.

A guess is a regular expression with groups named `well`, `tile`, `z` and
`channel`, as `isl.images.index_files` and the `source` of a data spec take
it: whoever agrees with the guess copies it there.
"""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

_NUMBER = r"-?\d+(?:\.\d+)?"
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[A-Za-z]+")

# Names that programs of microscopes give, then names that people give; the
# more a pattern says, the earlier it stands.
_PATTERNS = (
    # Opera Phenix and Operetta: r03c03f03p01-ch1sk1fk1fl1.tiff
    r"(?P<well>r\d+c\d+)f(?P<tile>\d+)p(?P<z>\d+)-(?P<channel>ch\d+)sk\w+",
    # CellVoyager: plate_C03_T0001F001L01A01Z01C01.tif
    r".+_(?P<well>[A-P]\d\d)_T\d+F(?P<tile>\d+)L\d+A\d+Z(?P<z>\d+)"
    r"(?P<channel>C\d+)",
    # ImageXpress: plate_C03_s1_z1_w1.tif
    r"(?:.+_)?(?P<well>[A-P]\d\d)_s(?P<tile>\d+)_z(?P<z>\d+)_(?P<channel>w\d)",
    r"(?:.+_)?(?P<well>[A-P]\d\d)_s(?P<tile>\d+)_(?P<channel>w\d)",
    # Micro-Manager: img_channel000_position001_time000000000_z002.tif
    r"img_channel(?P<channel>\d+)_position(?P<tile>\d+)_time\d+_z(?P<z>\d+)",
    # field__channel_z12.5.png
    rf"(?P<well>.+?)__(?P<channel>.+?)(?:_z(?P<z>{_NUMBER}))?",
    # C03_z0_DAPI.png, C03_DAPI_z0.png, C03_DAPI.png
    rf"(?P<well>[A-P]\d\d?)_z(?P<z>{_NUMBER})_(?P<channel>.+)",
    rf"(?P<well>[A-P]\d\d?)_(?P<channel>.+?)(?:_z(?P<z>{_NUMBER}))?",
)
# Tried after a series of numbers: any text, an underscore, a word.
_WORDS = (
    rf"(?P<well>.+)_z(?P<z>{_NUMBER})_(?P<channel>[A-Za-z]\w*?)",
    rf"(?P<well>.+)_(?P<channel>[A-Za-z][^_]*)_z(?P<z>{_NUMBER})",
    r"(?P<well>.+)_(?P<channel>[A-Za-z][^_]*)",
)
_ANY = r"(?P<well>.+)"

# Of the names of a folder, the share that a guess has to explain and to tell
# apart; the rest may be a mosaic that lies beside the images, or a copy.
_LEAST_SHARE = 0.8

# Fewer names that differ in a number alone may be chance.
_SHORTEST_SERIES = 3

# Of all pairs of a well and a channel, the share that has an image where only
# words are told apart; fewer, and the last word names no channel.
_LEAST_FILL = 0.5

# What channels are called, as whole words. Words of labels are those of dyes,
# proteins and filters; others may be anything.
_MODALITY_WORDS = {
    "BRIGHTFIELD": r"bright.?field|bf|tl|trans|transmitted|mono",
    "PHASE_CONTRAST": r"phase|phase.?contrast|ph\d?|pc",
    "DIC": r"dic|nomarski",
}
_LABEL_WORDS = (
    r"dapi|hoechst|pi|propidium|dead|cellmask|tuj1|map2|nfh|islet1?|neurite|"
    r"e?[gyr]fp|cfse|m?cherry|fitc\w*|tritc\w*|cy[357]|alexa\w*|texas|label|"
    r"dna|rna|er|agp|mito\w*|actin|tubulin|nuclei|fluo\w*"
)


@dataclasses.dataclass(frozen=True)
class NameFields:
    """What a file name says.

    Attributes:
        well: Well or field; empty if it does not say.
        tile: Tile of the well, likewise.
        z: Focal position, in whatever unit; None if it does not say.
        channel: What the name calls the channel; empty if it does not say.
    """

    well: str
    tile: str
    z: str | None
    channel: str


@dataclasses.dataclass(frozen=True)
class NameGuess:
    """A pattern that may be meant.

    Attributes:
        pattern: Regular expression for a whole file name.
        num_matched: Names that it fits.
        num_names: Names that there are.
    """

    pattern: str
    num_matched: int
    num_names: int


def guess_patterns(names: Sequence[str]) -> list[NameGuess]:
    """Proposes patterns for the names of a folder, the likeliest first.

    A pattern is proposed if it fits most names and tells them apart. The last
    proposal, each file a well of its own, always fits.

    Args:
        names: File names without their folder.
    """
    stems = [pathlib.PurePath(name).stem for name in names]
    series = _series_pattern(stems)
    candidates = [*_PATTERNS, *([series] if series else []), *_WORDS, _ANY]
    suffixes = sorted({pathlib.PurePath(name).suffix for name in names})
    ending = "|".join(_escape(suffix) for suffix in suffixes)
    if len(suffixes) > 1:
        ending = f"(?:{ending})"
    guesses = []
    for candidate in candidates:
        pattern = candidate + ending
        fields = parse_names(pattern, names)
        telling = len(set(fields.values())) >= _LEAST_SHARE * len(names)
        if candidate in _WORDS:
            telling = telling and _is_table(fields)
        if telling or candidate == _ANY:
            guesses.append(NameGuess(pattern, len(fields), len(names)))
    return guesses


def parse_names(pattern: str, names: Iterable[str]) -> dict[str, NameFields]:
    """Reads names by a pattern; those that it does not fit are left out.

    Args:
        pattern: A regular expression for a whole name, with groups named
            `well`, `tile`, `z` and `channel`, any of which may be missing.
        names: File names.
    """
    expression = re.compile(pattern)
    matches = {name: expression.fullmatch(name) for name in names}
    return {
        name: _fields(match.groupdict())
        for name, match in matches.items()
        if match
    }


def guess_modality(channel: str) -> str | None:
    """Returns the modality that a channel seems to be, or None.

    Args:
        channel: What a file or its metadata calls the channel.
    """
    for modality, words in _MODALITY_WORDS.items():
        if _has_word(channel, f"{words}|{modality}"):
            return modality
    return None


def looks_like_label(channel: str) -> bool:
    """Returns whether a channel is called after a dye, protein or filter.

    Args:
        channel: What a file or its metadata calls the channel.
    """
    return _has_word(channel, _LABEL_WORDS)


def _has_word(text: str, words: str) -> bool:
    whole = rf"(?:^|[^a-z])(?:{words})(?:[^a-z]|$)"
    return re.search(whole, text, re.IGNORECASE) is not None


def _fields(groups: Mapping[str, str | None]) -> NameFields:
    grid = [groups.get(key) for key in ("row", "column")]
    return NameFields(
        well=groups.get("well") or "",
        tile=groups.get("tile") or ",".join(part for part in grid if part),
        z=groups.get("z"),
        channel=groups.get("channel") or "",
    )


def _series_pattern(stems: Sequence[str]) -> str | None:
    # Names that differ in one number only, such as tile_p01.
    shapes = collections.Counter(_DIGITS.sub("0", stem) for stem in stems)
    (shape, count), *_ = shapes.most_common(1) or [("", 0)]
    if count < _SHORTEST_SERIES:
        return None
    alike = [stem for stem in stems if _DIGITS.sub("0", stem) == shape]
    columns = zip(*(_DIGITS.findall(stem) for stem in alike), strict=True)
    changing = [k for k, numbers in enumerate(columns) if len(set(numbers)) > 1]
    if len(changing) != 1:
        return None
    stem = alike[0]
    number = list(_DIGITS.finditer(stem))[changing[0]]
    before, after = stem[: number.start()], stem[number.end() :]
    group = "z" if re.search(r"(?:^|[^a-z])z[_-]?$", before, re.I) else "tile"
    return f"{_name_channel(before)}(?P<{group}>\\d+){_escape(after)}"


def _name_channel(before: str) -> str:
    # What stands before the number, with a word of it as the channel.
    words = list(_LETTERS.finditer(before))
    telling = [word for word in words if guess_modality(word[0])]
    for word in telling or words:
        first, end = _escape(before[: word.start()]), before[word.end() :]
        return f"{first}(?P<channel>{word[0]}){_escape(end)}"
    return _escape(before)


def _escape(text: str) -> str:
    # `re.escape` escapes more than it has to, which is hard to read.
    return re.sub(r"[\\.^$*+?{}()\[\]|]", r"\\\g<0>", text)


def _is_table(fields: Mapping[str, NameFields]) -> bool:
    pairs = {(f.well, f.channel) for f in fields.values()}
    wells = {well for well, _ in pairs}
    channels = {channel for _, channel in pairs}
    return len(pairs) > _LEAST_FILL * len(wells) * len(channels)
