"""`python -m ztag_extauthz.demo.child PARENT COMMAND…`: become a command that ends with its parent."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for a signal at the parent's death, which survives `exec`, then become the command."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone already")
    os.execv(command[0], command)  # noqa: S606 - becoming the command is the point, and no shell reads it


if __name__ == "__main__":
    main()
