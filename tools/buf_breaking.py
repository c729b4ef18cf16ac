"""Compares the contracts with those of the last release, so no released caller breaks."""

import subprocess
import sys
import sysconfig
from pathlib import Path


def last_release() -> str | None:
    """Returns the newest release tag this commit descends from."""
    found = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None


def main() -> int:
    """Returns the exit code of `buf breaking`; 0 before the first release."""
    tag = last_release()
    if tag is None:
        print("buf breaking: no release yet, nothing to compare with")
        return 0
    buf = Path(sysconfig.get_path("scripts"), "buf")
    return subprocess.run([str(buf), "breaking", "--against", f".git#tag={tag}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
