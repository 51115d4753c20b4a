#!/usr/bin/env python3
"""What the program is made of: name, version and licence of each library in it, and the texts that their authors ask to be handed on.

Read from the locked versions and their unpacked sources, offline. Build tools and proofs are not in the program and not in here.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

TARGET = "x86_64-unknown-linux-gnu"
PRODUCT = "landfall-pipeline"
TEXT = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)([-._].*)?$", re.IGNORECASE)
# Source code of that name is no licence.
SOURCE = {".rs", ".c", ".h", ".py", ".toml", ".html"}
# Bundled C libraries keep their texts a folder or two further down.
DEPTH = 3


def cargo(repository, *words):
    command = [os.environ.get("CARGO", "cargo"), *words, "--locked", "--offline"]
    return subprocess.run(command, cwd=repository, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(repository):
    """The packages that the product is linked from, with the features it has, without ours."""
    tree = ["tree", "--package", PRODUCT, "--edges", "normal,no-proc-macro", "--target", TARGET]
    lines = cargo(repository, *tree, "--prefix", "none", "--format", "{p}").splitlines()
    named = {tuple(line.split()[:2]) for line in lines}
    told = json.loads(cargo(repository, "metadata", "--format-version=1", "--filter-platform", TARGET))
    found = [package for package in told["packages"] if package["source"]]
    found = [package for package in found if (package["name"], f"v{package['version']}") in named]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        named = TEXT.match(path.name) and path.suffix.lower() not in SOURCE
        if named and len(inside.parts) <= DEPTH and path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def main():
    repository = pathlib.Path(__file__).resolve().parents[2]
    packages = linked(repository)
    lines = ["Landfall is licensed under Apache-2.0. The program contains these libraries; their texts follow.", ""]
    holders, bodies = {}, {}
    for package in packages:
        label = f"{package['name']} {package['version']}"
        found = list(texts(package))
        without = "" if found else "  (no text in its package)"
        lines.append(f"{label}  {package['license'] or 'see its text'}{without}")
        for body in found:
            key = hashlib.sha256(" ".join(body.split()).encode()).hexdigest()
            bodies.setdefault(key, body)
            named = holders.setdefault(key, [])
            if label not in named:
                named.append(label)
    for key, body in bodies.items():
        lines += ["", "=" * 78, ", ".join(holders[key]), "=" * 78, "", body]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
