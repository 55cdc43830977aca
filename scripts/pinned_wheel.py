"""Fetching a wheel that is pinned by its sha256, for the other scripts."""

import platform
import subprocess
import sys


class CannotFetch(Exception):
    """pip is missing, or failed; the message says what to do."""


def machine():
    """The processor, by the name that wheels for Linux use."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def fetch(requirement, sha256, folder):
    """Downloads `requirement`, such as `name==1.2.3`, into `folder`, and gives its path. Nothing is installed; standard output stays empty."""
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode != 0:
        raise CannotFetch(f"{sys.executable} has no pip (on Debian: apt-get install python3-pip)")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-cache-dir",
               "--only-binary=:all:", "--require-hashes", "--requirement", str(requirements), "--dest", str(folder)]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode != 0:
        raise CannotFetch(f"pip could not fetch {requirement} (its message stands above)")
    return next(folder.glob("*.whl"))
