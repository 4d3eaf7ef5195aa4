"""Which planes of a stack feed a network that takes another number."""


def choose_planes(num_available: int, num_wanted: int) -> tuple[int, ...]:
    """Chooses planes as the original does.

    Plane round((num_available - 1) * z) for each of `num_wanted` relative
    positions z, equidistant from 0 to 1 and rounded to 4 digits: 13 planes
    feed a network of 26 each twice in a row (original: isl/data_provider.py).

    Args:
        num_available: Planes of the stack, at least 1.
        num_wanted: Planes that the network takes, at least 1.

    Returns:
        Indices of planes, ascending, `num_wanted` of them.
    """
    last = max(num_wanted - 1, 1)
    positions = (round(z / last, 4) for z in range(num_wanted))
    return tuple(round((num_available - 1) * z) for z in positions)
