"""The bill of materials of a file of a release, as CycloneDX 1.6: every crate that is linked into it, for the other scripts.

The set of crates is cargo's own (`cargo tree`, for the target and without what only the build needs), and must be what it has built.
Well-known tools list what the workspace could link, for all targets and features, and name paths of the machine.
"""

import datetime
import hashlib
import re
import sys

from release_files import ROOT, output

# Such as `2serde v1.0.229|MIT OR Apache-2.0 (*)`: depth, name, version, folder where it is of this project, licence, shown before.
LINE = re.compile(r"(\d+)(\S+) v(\S+)( \(/[^|]*\))?\|(.*?)(?: \(\*\))?")
# What no crate of Cargo.lock is.
STD = "rust-std"
LOCKED = re.compile(r'name = "([^"]+)"\nversion = "([^"]+)"\n(?:source = "[^"]+"\nchecksum = "([0-9a-f]{64})")?')


def locked():
    """(name, version) of every crate of Cargo.lock → its sha256, or "" where it is of this project."""
    found = LOCKED.findall((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {(name, version): checksum for name, version, checksum in found}


def version_of(package):
    return next(version for name, version in locked() if name == package)


def tree(package, target):
    """(crate → licence, crate → the crates that it uses); a crate is (name, version)."""
    lines = output("cargo", "tree", "--locked", "--package", package, "--target", target, "--edges", "normal,no-proc-macro",
                   "--prefix", "depth", "--format", "{p}|{l}").splitlines()
    licences, uses, path = {}, {}, []
    for line in filter(None, lines):
        depth, name, version, _, licence = LINE.fullmatch(line).groups()
        crate = (name, version)
        licences[crate] = licence
        uses.setdefault(crate, set())
        path[int(depth):] = [crate]
        if len(path) > 1:
            uses[path[-2]].add(crate)
    return licences, uses


def reference(crate):
    return "{}@{}".format(*crate)


def component(crate, licence, checksum):
    """`checksum`: of the crate as the registry has it; those of this project are in none."""
    published = {"hashes": hashes(checksum), "purl": f"pkg:cargo/{reference(crate)}"} if checksum else {}
    # An old way to write OR.
    expression = licence.replace("/", " OR ")
    return {"type": "library", "bom-ref": reference(crate), "name": crate[0], "version": crate[1],
            "licenses": [{"expression": expression}], **published}


def hashes(sha256):
    return [{"alg": "SHA-256", "content": sha256}]


def standard_library(target):
    version = output("rustc", "--version").split()[1]
    return {"type": "library", "bom-ref": f"{STD}@{version}", "name": STD, "version": version,
            "description": f"Rust's standard library for {target}, with the C library that it brings"}


def bill(file, package, target, built, date):
    """Of `file`, which cargo has built of `package` for `target` out of the crates `built`."""
    licences, uses = tree(package, target)
    if set(licences) != built:
        sys.exit(f"sbom: {file.name}: `cargo tree` and what was built differ by {sorted(set(licences) ^ built)}")
    checksums, std = locked(), standard_library(target)
    root = next(crate for crate in licences if crate[0] == package)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    about = {**component(root, licences[root], ""), "type": "application", "hashes": hashes(digest),
             "description": f"{file.name}, for {target}"}
    graph = [{"ref": reference(crate), "dependsOn": [*map(reference, sorted(uses[crate])), std["bom-ref"]]} for crate in sorted(uses)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(date, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": about,
        },
        "components": [*(component(crate, licences[crate], checksums[crate]) for crate in sorted(licences) if crate != root), std],
        "dependencies": [*graph, {"ref": std["bom-ref"], "dependsOn": []}],
    }
