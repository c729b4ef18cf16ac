"""How the command ends: exit codes, and what is said on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from mesh.errors import MeshError, StartUpError, TransientError
from mesh.stack.process import ChildFailed


class Exit(IntEnum):
    """Exit codes of every command; 1 is left to findings, so that `lienthong verify && …` means what it says."""

    OK = 0
    FOUND = 1
    """The command ran, and what it looked at is not as it should be."""
    USAGE = 2
    """The command line, a setting or a given file is wrong; nothing was done."""
    UNREACHABLE = 3
    """No mesh, or a part of it that is needed, starts or answers; trying again may help."""
    REFUSED = 4
    """The mesh answered, and refused: unknown id, missing scope, illegal state."""
    INTERRUPTED = 130
    """Ctrl-C."""


class UsageError(Exception):
    """What was asked for makes no sense; the message says what would."""


class NoMesh(Exception):
    """Nothing is running where the command looked."""


def exit_code(error: BaseException) -> Exit:
    """The exit code an error ends the command with."""
    if isinstance(error, NoMesh | ChildFailed | TransientError):
        return Exit.UNREACHABLE
    if isinstance(error, UsageError | StartUpError):
        return Exit.USAGE
    return Exit.REFUSED


def complain(message: str) -> None:
    """Says on standard error why the command ends."""
    print(f"lienthong: {message}", file=sys.stderr)


def _first_known(group: BaseExceptionGroup[BaseException]) -> Exception | None:
    """The first error of several that were raised side by side which has something to say to people."""
    found: BaseException | None = group.subgroup((MeshError, UsageError, NoMesh))
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, Exception) else None


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the command with one line and its exit code where a known error would show a traceback."""
    try:
        yield
    except (MeshError, UsageError, NoMesh) as error:
        complain(str(error) or type(error).__name__)
        raise SystemExit(exit_code(error)) from None
    except BaseExceptionGroup as group:
        known = _first_known(group)
        if known is None:
            raise
        complain(str(known))
        raise SystemExit(exit_code(known)) from None
    except KeyboardInterrupt:
        raise SystemExit(Exit.INTERRUPTED) from None
