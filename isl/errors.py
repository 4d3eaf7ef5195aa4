"""The errors that mean: what the user gave us cannot be used."""

import pathlib
import traceback


class InputError(ValueError):
    """A mistake in a file, a flag or a value that the user supplied.

    The message is one line that names the file, flag or key, the rule, and
    the value received. Scripts print it without a traceback
    (`isl.command_line.run`).
    """


class DivergenceError(InputError):
    """Settings with which the loss of a training run was not finite."""


def describe_failure(error: Exception) -> str:
    """Says in one line why a well failed, whatever the reason."""
    reason = " ".join(str(error).split())
    if isinstance(error, (InputError, OSError)):
        return reason
    # A defect of ours: say where.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{pathlib.PurePath(frame.filename).name}:{frame.lineno}"
    return f"{type(error).__name__} in {place}: {reason}"
