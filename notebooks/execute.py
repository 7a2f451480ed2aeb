"""Executes notebooks in this folder and says how long each took; ends with 1 where one fails.

    python execute.py OUT NOTEBOOK...

A notebook is committed without outputs; its executed copy goes to the folder OUT. `cargo xtask check
notebooks` calls this.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

CELL_TIMEOUT_SECONDS = 300
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def load(path):
    """The notebook, if it is valid and committed as it should be."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            raise ValueError(f"cell {number} has outputs: clear all outputs before committing")
    return notebook


def last_run(notebook):
    """Number of the cell that ran last; 0 where none did."""
    started = [
        number
        for number, cell in enumerate(notebook.cells, start=1)
        if "iopub.execute_input" in cell.metadata.get("execution", {})
    ]
    return max(started, default=0)


def execute(path, out):
    """Runs a notebook in its own folder; what is to be said of its failure, or None."""
    try:
        notebook = load(path)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        return f"it is no notebook to be executed: {error}"
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as sockets:
        client.create_kernel_manager()
        # Sockets in the file system: no port that others on this machine could open.
        client.km.transport, client.km.ip = "ipc", f"{sockets}/kernel"
        try:
            client.execute()
            return None
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return f"cell {last_run(notebook)}: {COLOURS.sub('', str(error)).strip()}"
        finally:
            nbformat.write(notebook, out / path.name)


def main():
    out, *paths = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    # What IPython remembers between sessions is nobody's business here.
    os.environ.setdefault("IPYTHONDIR", str(out / "ipython"))
    failed = False
    for path in paths:
        begun = time.monotonic()
        failure = execute(path.resolve(), out)
        seconds = time.monotonic() - begun
        print(f"{path.name}: {'failed' if failure else 'executed'} in {seconds:.1f} s", flush=True)
        if failure:
            failed = True
            print(f"error: {path.name}: {failure}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
