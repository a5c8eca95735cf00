"""The exit codes of the command, and which refusal has which."""

from __future__ import annotations

import errno
from enum import IntEnum

from ketgrad.foundation.errors import (
    KetgradError,
    KetgradImportError,
    KetgradMemoryError,
    KetgradOSError,
)


class Exit(IntEnum):
    """As in sysexits.h where that has a number; 128 and its number for what a signal stopped (129, 130, 143)."""

    OK = 0
    USAGE = 2
    BAD_DATA = 65
    NO_INPUT = 66
    FAULT = 70  # of ketgrad
    CANNOT_CREATE = 73
    INPUT_OUTPUT = 74
    TRY_AGAIN = 75
    FORBIDDEN = 77
    INTERRUPTED = 130
    PIPE_CLOSED = 141


CREATE_ERRORS = frozenset(
    {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
)
FORBIDDEN_ERRORS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def exit_code(error: KetgradError) -> int:
    """The exit code that says what was wrong."""
    code = getattr(error, "exit_code", None)
    if code is not None:
        return code
    if isinstance(error, KetgradOSError):
        if error.errno in FORBIDDEN_ERRORS:
            return Exit.FORBIDDEN
        if error.errno == errno.EAGAIN:  # another run has the file
            return Exit.TRY_AGAIN
        return Exit.CANNOT_CREATE if error.errno in CREATE_ERRORS else Exit.INPUT_OUTPUT
    if isinstance(error, KetgradMemoryError):
        return Exit.TRY_AGAIN
    return Exit.USAGE if isinstance(error, KetgradImportError) else Exit.BAD_DATA
