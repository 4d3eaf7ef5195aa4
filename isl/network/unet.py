"""U-Nets as tables, the baselines of the network of the paper.

A U-Net halves the resolution `num_levels` times and doubles it again; at each
scale there are two 3 x 3 convolutions on the way down and two on the way up,
which also read what the way down left there. Filters double with each halving.

Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597) convolve without padding,
so that each predicted pixel has seen its whole surroundings, as the network of
the paper does. Ounkomol et al. 2018 (Nature Methods 15:917-920, fnet) pad with
zeros: in training the output is as large as the input. Zeros are no brightness
that occurs, so for prediction the outermost pixels are cropped away: as many
as the padding can reach, rounded up to the grid of the coarsest scale.

Standard library only.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from isl.network.table_rules import check_num_bins, check_positive, is_on_grid

CONVOLUTION = "convolution"
SHRINK = "shrink"
ENLARGE = "enlarge"

VALID = "valid"
SAME = "same"

MAX_POOL = "max_pool"
STRIDED = "strided_convolution"

_CHOICES = {"padding": (VALID, SAME), "shrink": (MAX_POOL, STRIDED)}
_KINDS_AT_A_SCALE = (CONVOLUTION, CONVOLUTION)


@dataclasses.dataclass(frozen=True)
class Step:
    """One layer with every number resolved.

    Attributes:
        name: Name of the layer, unique in the network.
        kind: "convolution" (3 x 3), "shrink" or "enlarge" (2 x 2, stride 2).
        input_size: Rows on entry, for the smallest prediction, pixels.
        output_size: Rows on exit, pixels.
        input_filters: Feature maps on entry; after an enlargement these are
            its own and those of the way down.
        filters: Feature maps on exit.
    """

    name: str
    kind: str
    input_size: int
    output_size: int
    input_filters: int
    filters: int


@dataclasses.dataclass(frozen=True)
class UNet:
    """The table of a U-Net; see `isl.network.networks` for what all share.

    Attributes:
        num_levels: How often the resolution is halved.
        base_filters: Width: feature maps at full resolution.
        padding: Of the convolutions: "valid" for none, "same" for zeros.
        shrink: "max_pool", or "strided_convolution" as in fnet.
        batch_norm: Whether each layer but the heads is normalised and passes
            a ReLU, as in fnet; otherwise only the 3 x 3 convolutions pass a
            ReLU and nothing is normalised.
        num_bins: Intensity bins of each head; None for heads that predict
            the intensity itself (regression).
    """

    num_levels: int
    base_filters: int
    padding: str
    shrink: str
    batch_norm: bool
    num_bins: int | None = 256

    def __post_init__(self) -> None:
        """Raises ValueError for a value that no U-Net can have."""
        check_positive("num_levels", self.num_levels)
        check_positive("base_filters", self.base_filters)
        check_num_bins(self.num_bins)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}. "
                    f"Received: {getattr(self, name)!r}"
                )

    @property
    def grid(self) -> int:
        """Sizes grow in steps of this many pixels: the coarsest scale."""
        return 2**self.num_levels

    @property
    def output_size(self) -> int:
        """Rows and columns of the smallest prediction, pixels."""
        if self.padding == SAME:
            return self.grid
        # Of 2^L b rows on the way up, 4 are lost at each of L scales, in all
        # 4 (2^L - 1): the output is 4 more than a multiple of the grid.
        return 4 % self.grid or self.grid

    @property
    def margin(self) -> int:
        """Pixels of context on each side of a prediction."""
        if self.padding == SAME:
            return -(-_reach(self) // self.grid) * self.grid
        size = self.output_size
        for kind in reversed(list(_iter_kinds(self))):
            size = {
                CONVOLUTION: size + 2,
                SHRINK: 2 * size,
                ENLARGE: size // 2,
            }[kind]
        return (size - self.output_size) // 2

    @property
    def training_margin(self) -> int:
        """Pixels of context on each side of a training patch.

        None with zero padding: as in the published code, the whole patch has
        labels, although pixels near its edges do not see all they could.
        """
        return 0 if self.padding == SAME else self.margin

    @property
    def input_size(self) -> int:
        """Rows of the smallest input, pixels."""
        return self.output_size + 2 * self.margin

    @property
    def initializer(self) -> str:
        """Of new convolutions, by its Keras name."""
        # Without normalisation the scale has to be right from the start
        # (Ronneberger et al., section 3; He et al. 2015).
        return "glorot_uniform" if self.batch_norm else "he_normal"

    def is_output_size(self, size: int) -> bool:
        """Whether `size` is `output_size` plus a multiple of `grid`."""
        return is_on_grid(size, self.output_size, self.grid)

    def to_dict(self) -> dict[str, Any]:
        """Returns the table as JSON-serialisable values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "UNet":
        """Inverse of `to_dict`."""
        return cls(**values)


def _iter_kinds(unet: UNet) -> Iterator[str]:
    """Yields the kind of each layer, in order."""
    for _ in range(unet.num_levels):
        yield from (*_KINDS_AT_A_SCALE, SHRINK)
    yield from _KINDS_AT_A_SCALE
    for _ in range(unet.num_levels):
        yield from (ENLARGE, *_KINDS_AT_A_SCALE)


def _reach(unet: UNet) -> int:
    """How far away from a pixel the input can be that it depends on."""
    reach = 0
    for pixel in range(unet.grid):
        first = last = pixel
        for kind in reversed(list(_iter_kinds(unet))):
            first, last = {
                CONVOLUTION: (first - 1, last + 1),
                SHRINK: (2 * first, 2 * last + 1),
                ENLARGE: (first // 2, last // 2),
            }[kind]
        reach = max(reach, pixel - first, last - pixel)
    return reach


def plan_unet(unet: UNet, num_planes: int) -> tuple[Step, ...]:
    """Resolves a U-Net into its layers, without crops and heads.

    Args:
        unet: The table.
        num_planes: Planes of the network input (intensity and presence of
            each z).

    Returns:
        The layers, in order.
    """
    level, index, size, filters = 0, 0, unet.input_size, num_planes
    lost = 2 if unet.padding == VALID else 0
    way, steps = "down", []
    for kind in _iter_kinds(unet):
        width = unet.base_filters * 2**level
        name, input_filters = f"{way}{level}_{index}", filters
        if kind == CONVOLUTION:
            next_size, filters = size - lost, width
            # The second convolution reads the first one, the first one what
            # came from below and what the way down left.
            if way == "up" and index == 0:
                input_filters = 2 * width
            index += 1
        elif kind == SHRINK:
            name, next_size = f"{way}{level}_shrink", size // 2
            level, index = level + 1, 0
        else:
            way, level, index = "up", level - 1, 0
            name, next_size = f"{way}{level}_enlarge", 2 * size
            filters = width // 2
        steps.append(Step(name, kind, size, next_size, input_filters, filters))
        size = next_size
    return tuple(steps)


# Ronneberger et al. 2015, figure 1, without its dropout, whose rate they do
# not tell. 572 -> 388 there.
UNET = UNet(
    num_levels=4,
    base_filters=64,
    padding=VALID,
    shrink=MAX_POOL,
    batch_norm=False,
)

# Ounkomol et al. 2018, methods; their two-dimensional network.
FNET = UNet(
    num_levels=4,
    base_filters=32,
    padding=SAME,
    shrink=STRIDED,
    batch_norm=True,
)

# One halving each, for tests.
TINY_UNET = dataclasses.replace(UNET, num_levels=1, base_filters=4)
TINY_FNET = dataclasses.replace(FNET, num_levels=1, base_filters=4)
