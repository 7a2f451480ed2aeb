"""Runs the make.py of every golden folder in turn, and says what changed and how large it is.

    pip install -r requirements.txt
    python all.py

On the machine and with the versions that made the folders, nothing changes.
"""

import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 1_000_000  # bytes of a family, committed
LAST = "gguf"  # is made from other folders


def files():
    return sorted(path for path in HERE.glob("*/*") if path.is_file())


def hashes():
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files()}


def family(path):
    """`llama-rope` belongs to `llama`."""
    return path.parent.name.split("-")[0]


def main():
    before = hashes()
    scripts = sorted(HERE.glob("*/make.py"), key=lambda path: (path.parent.name == LAST, path))
    for script in scripts:
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, script], check=True, env=environment)
    after = hashes()

    changed = [path for path in before | after if before.get(path) != after.get(path)]
    for path in changed:
        print("changed:", path.relative_to(HERE))
    print(f"{len(after)} files, {len(changed)} changed")

    sizes = {}
    for path in after:
        sizes[family(path)] = sizes.get(family(path), 0) + path.stat().st_size
    for name, size in sizes.items():
        print(f"{name}: {size} bytes")
    large = [name for name, size in sizes.items() if size > LIMIT]
    assert not large, f"over {LIMIT} bytes: {large}"


if __name__ == "__main__":
    main()
