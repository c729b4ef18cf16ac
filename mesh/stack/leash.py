"""Runs a command that dies with the process that started it: `python leash.py PARENT_PID COMMAND…`.

A supervisor that is killed with SIGKILL cannot clean up; without a leash its servers would live on, hold their ports
and write to the data folder of the next run. Linux sends the signal asked for here when the parent is gone, and keeps
the request across `exec`.

It is a program of its own, not a `preexec_fn`: that would run Python between `fork` and `exec` of a process full of
threads, where gRPC's fork handlers are known to hang.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Asks for the signal, makes sure the parent is not gone already, and becomes the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("the process that asked for this command is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
