"""Packages that only some users need, which extras of isl install."""

import importlib
import types

from isl.errors import InputError


def import_extra(package: str, extra: str, what: str) -> types.ModuleType:
    """Imports a package that an extra installs.

    Args:
        package: Its name, with dots for one inside another.
        extra: The extra.
        what: The file or flag that needs it, for messages.

    Raises:
        InputError: If the package, or what it needs, is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{what}: the extra `{extra}` must be installed "
            f"(pip install '.[{extra}]' in the folder of isl). "
            f"Received: {error}"
        ) from error
