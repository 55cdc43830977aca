"""The files of a release: their names, and what is in the chart's package, for the other scripts."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "dist" / "release"
CHART = "charts/canary-filter"
MODULE = "canary_filter.wasm"
MODULE_TARGET = "wasm32-wasip1"
# Of each machine, the name of its file and Rust's target.
BINARIES = {
    "x86_64": ("canaryctl-linux-amd64", "x86_64-unknown-linux-musl"),
    "aarch64": ("canaryctl-linux-arm64", "aarch64-unknown-linux-musl"),
}


def output(*command, **options):
    """What a command prints; its own failure ends the script."""
    ran = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False, **options)
    if ran.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` failed (its message stands above)")
    return ran.stdout


def chart_files():
    """What `helm package` takes: path in the package → content."""
    ignored = (ROOT / CHART / ".helmignore").read_text(encoding="utf-8").split()
    if not all(folder.endswith("/") for folder in ignored):
        sys.exit(f"{CHART}/.helmignore: only names of folders are understood here")
    paths = [path.removeprefix(f"{CHART}/") for path in output("git", "ls-files", CHART).split()]
    kept = [path for path in paths if not path.startswith(tuple(ignored))]
    return {f"canary-filter/{path}": (ROOT / CHART / path).read_bytes() for path in kept}
