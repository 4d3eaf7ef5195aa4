"""The errors that mean: what the user gave us cannot be used."""


class InputError(ValueError):
    """A mistake in a file, a flag or a value that the user supplied.

    The message is one line that names the file, flag or key, the rule, and
    the value received. Scripts print it without a traceback
    (`isl.command_line.run`).
    """


class DivergenceError(InputError):
    """Settings with which the loss of a training run was not finite."""
