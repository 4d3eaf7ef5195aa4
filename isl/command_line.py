"""How every script of `experiments/` starts and reports a user's mistake."""

import signal
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from absl import app, flags

from isl.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Parses the flags and runs `main`.

    A user's mistake, in a flag or later, and an operating system error (a
    missing file, a full disk) end in one line on standard error and exit
    status 1; anything else is a defect of ours and keeps its traceback. SIGTERM
    ends the script as an exception does, with exit status 143, so that what it
    was writing is removed.

    Args:
        main: Called without arguments after flags are parsed.
    """

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            _fail(
                "every argument must be a flag, --name=value; the values of a "
                f"list are separated by commas. Received: {' '.join(argv[1:])}"
            )
        try:
            main()
        except InputError as error:
            _fail(str(error))
        except OSError as error:
            _fail(_describe(error))

    signal.signal(signal.SIGTERM, _leave)
    app.run(guarded, flags_parser=_parse)


def _leave(signal_number: int, frame: types.FrameType | None) -> None:
    # `timeout` and batch systems send it twice: that must not end the removal.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # As a shell tells of a process that a signal has ended.
    raise SystemExit(128 + signal_number)


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(f"{error} (--help shows all flags)")
    for name in flags.FLAGS:
        flag = flags.FLAGS[name]
        # As of a variable of the shell that is not set.
        if flag.present and flag.value in ("", []):
            _fail(f"--{name} must have a value. Received: none")
    return rest


def _describe(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    names = filter(None, (error.filename, error.filename2))
    return f"{', '.join(map(str, names))}: {error.strerror}"


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)


def warn(what: str, message: str) -> None:
    """Prints one line on standard error, if there is something to say.

    Args:
        what: The file or well that it is about.
        message: What is to be known; empty: nothing.
    """
    if message:
        print(f"warning: {what}: {message}", file=sys.stderr)


def end(failures: Sequence[str]) -> None:
    """Ends the script with exit status 1 if anything failed.

    Args:
        failures: What failed, and why, for a line each on standard error.
    """
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if failures:
        sys.exit(1)


def refuse(holders: Iterable[flags.FlagHolder], reason: str) -> None:
    """Raises InputError if a flag was given that would do nothing.

    Args:
        holders: Flags.
        reason: When they would.
    """
    for holder in holders:
        if holder.present:
            raise InputError(
                f"--{holder.name} must be left out {reason}. "
                f"Received: {holder.value}"
            )
