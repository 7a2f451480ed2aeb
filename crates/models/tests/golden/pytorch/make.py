"""Makes this folder and `pytorch-sharded`: files of `torch.save`, and the tensors that torch finds in them.

    pip install -r ../requirements.txt
    python make.py

pytorch          pytorch_model.bin: the three number types that are read, a parameter, storages that are
                 shared, views that are not contiguous, and buffers that are no floating point numbers;
                 tensors.safetensors holds the values as F32 (the buffers left out)
pytorch-sharded  two files with an index

The other files of `pytorch` must be refused:

legacy.bin       the format before PyTorch 1.6
calls.bin        an entry whose unpickling runs a shell command (which would make a file `was-run`)
hidden-call.bin  the same, but the result is thrown away again: the entries are all tensors
module.bin       a whole module instead of its tensors
training.bin     tensors beside a number, as training scripts save them
"""

import collections
import io
import json
import os
import pathlib
import pickle
import re
import zipfile

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent


class Calls:
    def __reduce__(self):
        return os.system, ("touch was-run",)


def views(generator):
    """A state dict, with the `_metadata` that modules give theirs."""
    normal = lambda *shape: torch.randn(shape, generator=generator)
    table = normal(6, 5)
    wide = normal(4, 3, 5)
    state = collections.OrderedDict()
    state["plain"] = table
    state["tied"] = table
    state["half"] = normal(3, 7).half()
    state["bfloat"] = normal(3, 7).bfloat16()
    state["parameter"] = torch.nn.Parameter(normal(2, 3))
    state["rows"] = table[2:4]
    state["transposed"] = table.t()
    state["transposed_half"] = normal(7, 3).half().t()
    state["every_other"] = table[:, ::2]
    state["turned"] = wide.permute(2, 0, 1)
    state["scalar"] = normal()
    state["empty"] = normal(0, 4)
    state["mask"] = torch.ones(2, 2, dtype=torch.bool).tril()
    state["bytes"] = torch.arange(4, dtype=torch.uint8)
    state["positions"] = torch.arange(5)
    state["double"] = normal(2).double()
    state._metadata = collections.OrderedDict({"": {"version": 1}, "layer": {"version": 2}})
    return state


def make_shards(state, folder):
    folder.mkdir(exist_ok=True)
    names = ["plain", "half", "bfloat", "parameter"]
    index = {"metadata": {"total_size": 0}, "weight_map": {}}
    for number, part in enumerate([names[:2], names[2:]], start=1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: state[name].detach() for name in part}, folder / file)
        index["weight_map"] |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def make_hidden_call(path):
    """A call before the dictionary, taken off the stack again (opcode POP)."""
    buffer = io.BytesIO()
    torch.save({"plain": torch.ones(2)}, buffer)
    call = pickle.dumps(Calls(), protocol=2)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("data.pkl"):
                data = call[:-1] + b"0" + data[2:]
            new.writestr(zipfile.ZipInfo(entry.filename), data)


def make_legacy(tensors, path):
    """The keys of storages are addresses there; zeros in their place give the same file every time."""
    buffer = io.BytesIO()
    torch.save(tensors, buffer, _use_new_zipfile_serialization=False)
    path.write_bytes(re.sub(rb"\d{10,}", lambda key: b"0" * len(key[0]), buffer.getvalue()))


def main():
    state = views(torch.Generator().manual_seed(30))
    torch.save(state, HERE / "pytorch_model.bin")
    floats = (torch.float32, torch.float16, torch.bfloat16)
    read = {name: tensor.detach() for name, tensor in state.items() if tensor.dtype in floats}
    own = {name: tensor.float().contiguous().clone() for name, tensor in read.items()}
    save_file(own, HERE / "tensors.safetensors")
    make_shards(state, HERE.parent / "pytorch-sharded")

    tensors = {"plain": torch.ones(2)}
    make_legacy(tensors, HERE / "legacy.bin")
    torch.save(tensors | {"extra": Calls()}, HERE / "calls.bin")
    make_hidden_call(HERE / "hidden-call.bin")
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(2, 2), HERE / "module.bin")
    torch.save({"state_dict": tensors, "epoch": 3}, HERE / "training.bin")
    for path in sorted(HERE.glob("*.*")):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
