"""Writes this crate's Cargo.toml: the union of the features that the workspace asks of shared dependencies.

    python3 crates/unify/unify.py             after a dependency or a feature changed
    python3 crates/unify/unify.py --check     whether any member alone would build something anew

A dependency is built anew for `cargo build -p one-member` where that member asks for fewer features of it than
the whole workspace does. Each round lists such dependencies (`cargo tree`) and asks for the union of their
features here, until there is none.
"""

import collections
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "crates/unify/Cargo.toml"
# Built alone before anything else: they get only what they share with the rest.
LIGHT = ["xtask", "plan", "runs"]
# Compiled for procedural macros only, whose features cargo keeps apart.
OF_MACROS = {"syn", "quote", "proc-macro2"}
HEAD = """\
# No code: only the union of the features that the members of this workspace ask of shared
# dependencies. Members depend on it, so that `cargo build -p one-crate` and `cargo test --workspace`
# compile the same things, and nothing heavy is built twice. Written by unify.py.
#
# Without the feature `all` it has what `xtask`, `plan` and `runs` share with the rest: these are built
# alone first, in under a minute, and must not wait for anything heavy.
[package]
name = "unify"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

"""


def tree(*arguments):
    """What cargo would build, as {(name, version): [features, ...]}."""
    command = ["cargo", "tree", "-e", "normal,build", "--prefix", "none", "-f", "{p}|{f}", *arguments]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if output.returncode:
        sys.exit(output.stderr)
    found = collections.defaultdict(set)
    for line in output.stdout.splitlines():
        line = line.replace(" (*)", "").replace(" (proc-macro)", "")
        if "|" in line and " (/" not in line:
            package, features = line.split("|")
            name, version = package.split(" v")
            key = (name, version.split("+")[0])
            found[key].add(frozenset(f for f in features.split(",") if f))
    return found


def members():
    folders = sorted(path.parent for path in ROOT.glob("crates/*/Cargo.toml"))
    return ["xtask", *(folder.name for folder in folders if folder.name not in ("unify", "files"))]


def built_anew(member, whole):
    """Dependencies that `member` alone would build with other features than the whole workspace."""
    return [key for key, sets in tree("-p", member).items() if not sets <= whole[key]]


def requirement(version):
    parts = version.split(".")
    return parts[0] if parts[0] != "0" else ".".join(parts[:2])


def line(key, features, names, optional):
    """One dependency; a name that has several versions in the workspace is told apart by its version."""
    name, version = key
    required = requirement(version)
    alias, package = name, ""
    if names[name] > 1:
        alias, package = f"{name}{required.split('.')[-1]}", f'package = "{name}", '
    listed = ", ".join(f'"{feature}"' for feature in sorted(features) if not feature.startswith("_"))
    ending = ", optional = true" if optional else ""
    text = f'{alias} = {{ {package}version = "{required}", default-features = false, features = [{listed}]{ending} }}\n'
    return alias, text


def manifest(wanted, whole):
    names = collections.Counter(name for name, _ in whole)
    optional, tables = [], {"dependencies": "", "build-dependencies": ""}
    for light in [True, False]:
        for key, (features, is_light) in sorted(wanted.items()):
            if is_light == light:
                alias, text = line(key, features, names, not light)
                tables["build-dependencies" if key[0] in OF_MACROS else "dependencies"] += text
                optional += [] if light else [alias]
    listed = "".join(f'    "dep:{alias}",\n' for alias in sorted(optional))
    text = HEAD + f"[features]\nall = [\n{listed}]\n"
    for table, lines in tables.items():
        text += f"\n[{table}]\n{lines}" if lines else ""
    return text


def main():
    whole = tree("--workspace")
    if "--check" in sys.argv:
        bad = {member: built_anew(member, whole) for member in members()}
        for member, keys in bad.items():
            if keys:
                print(f"{member} alone would build anew: {', '.join(' '.join(key) for key in keys)}")
        sys.exit("run crates/unify/unify.py" if any(bad.values()) else None)
    MANIFEST.write_text(HEAD + "[features]\nall = []\n")
    wanted = {}
    while True:
        whole = tree("--workspace")
        before = dict(wanted)
        for member in members():
            for key in built_anew(member, whole):
                was_light = wanted.get(key, (None, False))[1]
                wanted[key] = (max(whole[key], key=len), was_light or member in LIGHT)
        if wanted == before:
            break
        MANIFEST.write_text(manifest(wanted, whole))
    print(f"{MANIFEST.relative_to(ROOT)}: {len(wanted)} dependencies")


main()
