"""Rules that the tables of all networks follow. Standard library only."""


def check_positive(name: str, value: int | None) -> None:
    """Raises ValueError if a number of a table is no positive integer."""
    if type(value) is not int or value < 1:
        raise ValueError(
            f"{name} must be a positive integer. Received: {value!r}"
        )


def check_num_bins(num_bins: int | None) -> None:
    """Raises ValueError if heads cannot have this many intensity bins."""
    if num_bins is not None and (type(num_bins) is not int or num_bins < 2):
        raise ValueError(
            f"num_bins must be 2 or more, or None for regression. "
            f"Received: {num_bins!r}"
        )


def is_on_grid(size: int, smallest: int, grid: int) -> bool:
    """Whether `size` is `smallest` plus a multiple of `grid`."""
    return size >= smallest and not (size - smallest) % grid
