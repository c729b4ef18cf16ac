"""Compares the contracts with those of the last release, so no released caller breaks."""

import io
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

IMPORTS = Path("build/imports")


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
    with tempfile.TemporaryDirectory() as released:
        _check_out(tag, Path(released))
        return subprocess.run([str(buf), "breaking", "--against", released], check=False).returncode


def _check_out(tag: str, target: Path) -> None:
    """Puts the contracts of a release into a folder, with today's copy of what they import: that is never committed."""
    archive = subprocess.run(["git", "archive", tag, "protos", "buf.yaml"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(target, filter="data")
    shutil.copytree(IMPORTS, target / IMPORTS)


if __name__ == "__main__":
    sys.exit(main())
