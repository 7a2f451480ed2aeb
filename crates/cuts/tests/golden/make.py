"""Makes the folders beside it: what every cut leaves of three small random models.

    pip install -r ../../../models/tests/golden/requirements.txt
    python make.py

The models are the golden folders of crates/models. Each case runs twice, with the model's forward pass in
float32 and in float64, and the script stops where a kept set differs or a weight moves by more than a
fifth of the tolerance.
"""

import copy
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parents[2] / "models" / "tests" / "golden"
sys.path.insert(0, str(MODELS))
import golden  # noqa: E402
import reference as cuts  # noqa: E402

ROUNDING = 2e-5  # the tolerance is 1e-4
GROUP = 16  # the last group of 24 or 52 inputs is short
WINDOWS, HELD_OUT, LENGTH, TEST = 8, 3, 40, 12

HALF = {"cut": "weights", "sparsity": 0.5}
FOUR_BITS = {"cut": "bits", "bits": 4, "group": GROUP}
LAYERS = {"cut": "layers"}

CASES = {
    "magnitude": [HALF | {"method": "magnitude"}],
    "magnitude-global": [HALF | {"method": "magnitude-global"}],
    "magnitude-rows": [HALF | {"method": "magnitude-rows"}],
    "magnitude-2-4": [{"cut": "weights", "method": "magnitude", "pattern": "2:4"}],
    "wanda": [HALF | {"method": "wanda"}],
    "wanda-2-4": [{"cut": "weights", "method": "wanda", "pattern": "2:4"}],
    "obd": [HALF | {"method": "obd"}],
    "sparsegpt": [HALF | {"method": "sparsegpt"}],
    "sparsegpt-mask": [HALF | {"method": "sparsegpt-mask"}],
    "sparsegpt-2-4": [{"cut": "weights", "method": "sparsegpt", "pattern": "2:4"}],
    "sparsegpt-4-bits": [HALF | {"method": "sparsegpt", "bits": 4, "group": GROUP}],
    "rtn-4": [FOUR_BITS | {"method": "rtn"}],
    "rtn-3": [FOUR_BITS | {"method": "rtn", "bits": 3}],
    "gptq-4": [FOUR_BITS | {"method": "gptq"}],
    "wanda-rtn-4": [HALF | {"method": "wanda"}, FOUR_BITS | {"method": "rtn"}],
    "wanda-gptq-4": [HALF | {"method": "wanda"}, FOUR_BITS | {"method": "gptq"}],
    "magnitude-sparsegpt": [
        {"cut": "weights", "method": "magnitude", "sparsity": 0.3},
        HALF | {"method": "sparsegpt"},
    ],
    "svd": [{"cut": "low-rank", "method": "svd", "rank": 4}],
    "svd-activations": [{"cut": "low-rank", "method": "svd-activations", "rank": 4}],
    "drop-angular": [LAYERS | {"method": "drop", "score": "angular", "n": 1}],
    "drop-angular-2": [LAYERS | {"method": "drop", "score": "angular", "n": 2}],
    "drop-influence": [LAYERS | {"method": "drop", "score": "influence", "n": 1}],
    "drop-last": [LAYERS | {"method": "drop", "score": "last", "n": 1}],
    "linearise": [LAYERS | {"method": "linearise", "layer": 1}],
    "linearise-rank-4": [LAYERS | {"method": "linearise", "layer": 1, "rank": 4}],
}
LARGE = "llama"  # fewer cases, for the size of the folder
OF_LARGE = ("wanda", "sparsegpt", "sparsegpt-4-bits", "gptq-4")
FOLDERS = {"llama": 1301, "opt": 1302, "mamba2": 1303}  # and the seed of its windows


# --- one step ------------------------------------------------------------------------------------------


def cut_weights(model, step, windows):
    method, sparsity = step["method"], step.get("sparsity")
    pattern = tuple(map(int, step["pattern"].split(":"))) if "pattern" in step else None
    if method == "magnitude-global":
        return cut_everywhere(model, sparsity)

    def change(_name, weight, gram):
        if method.startswith("sparsegpt"):
            swept = cuts.sweep(
                weight, gram, len(windows), sparsity, pattern, step.get("bits"), step.get("group")
            )
            return weight * (swept != 0) if method == "sparsegpt-mask" else swept
        scores = cuts.weight_scores(method, weight, gram, len(windows))
        return weight * cuts.mask_of(method, scores, sparsity, pattern)

    cuts.walk(model, windows, change)


def cut_everywhere(model, sparsity):
    """All entries of all matrices compete, in the order of the blocks and of their maps."""
    maps = [pair for name, block in cuts.blocks_of(model) for pair in cuts.maps_of(name, block)]
    sizes = torch.cat([module.weight.detach().reshape(-1) for _, module in maps]).abs()
    keep = cuts.keep_largest(sizes, cuts.kept_count(len(sizes), sparsity))
    for _, module in maps:
        mask, keep = keep[: module.weight.numel()], keep[module.weight.numel() :]
        module.weight.data = module.weight.data * mask.reshape(module.weight.shape)


def cut_bits(model, step, windows):
    def change(_name, weight, gram):
        if step["method"] == "rtn":
            return cuts.round_to_nearest(weight, step["bits"], step["group"])
        return cuts.sweep(weight, gram, len(windows), bits=step["bits"], group=step["group"])

    cuts.walk(model, windows, change)


def cut_rank(model, step, windows):
    change = lambda _name, weight, gram: cuts.low_rank(step["method"], weight, gram, step["rank"])
    cuts.walk(model, windows, change)


def drop(model, step, windows):
    streams, n = cuts.streams_of(model, windows), step["n"]
    if step["score"] == "last":
        last = len(cuts.blocks_of(model)) - 1
        layers, told = list(range(last - n, last)), {}
    else:
        angular = step["score"] == "angular"
        distances = cuts.angular_distances(streams, n) if angular else cuts.influences(streams)
        layers, told = cuts.dropped_layers(step["score"], distances, n), {"distances": distances}
        last_in = 0 if angular else n - 1
        inside, outside = distances.sort().values[last_in : last_in + 2]
        assert outside - inside > 1e-3, f"{step['score']}: a close call"
    return cuts.without(model, layers), told | {"dropped": torch.tensor(layers)}


def linearise(model, step, windows, held_out):
    layer = step["layer"]
    inputs, updates = cuts.pairs_of(cuts.streams_of(model, windows), layer)
    weight, bias = cuts.fit_linear(inputs, updates, step.get("rank"))
    later = cuts.pairs_of(cuts.streams_of(model, held_out), layer)
    parent, index = cuts.blocks_of(model)[layer][0].rsplit(".", 1)
    model.get_submodule(parent)[int(index)] = cuts.LinearBlock(weight, bias)
    return {"weight": weight, "bias": bias, "r_squared": cuts.r_squared(*later, weight, bias)}


def apply(model, step, ids):
    """The model after a step, and what the step tells beside the weights."""
    if step["cut"] == "layers":
        if step["method"] == "drop":
            return drop(model, step, ids["ids"])
        return model, linearise(model, step, ids["ids"], ids["held_out"])
    change = {"weights": cut_weights, "bits": cut_bits, "low-rank": cut_rank}[step["cut"]]
    change(model, step, ids["ids"])
    return model, {}


# --- one case ------------------------------------------------------------------------------------------


def matrices(model):
    """{checkpoint name: weight} of every linear map of every block."""
    blocks = cuts.blocks_of(model)
    maps = [pair for name, block in blocks for pair in cuts.maps_of(name, block)]
    return {name: module.weight.detach().float() for name, module in maps}


def case(model, steps, ids):
    """Every value of a case, under the names of README.md."""
    model, told = copy.deepcopy(model), {}
    for step in steps:
        model, more = apply(model, step, ids)
        told |= more
    with torch.inference_mode():
        told["logits"] = model(input_ids=ids["test"][None], use_cache=False).logits[0].float()
    return told if steps[0]["cut"] == "layers" else told | matrices(model)


def moved(ours, exact):
    """The largest difference of two runs of a case; kept sets must be the same."""
    for name, values in ours.items():
        assert torch.equal(values == 0, exact[name] == 0), f"{name}: another kept set"
    return max((values - exact[name]).abs().max().item() for name, values in ours.items())


def write_folder(name, seed):
    generator = torch.Generator().manual_seed(seed)
    model = golden.reload(MODELS / name)
    exact = copy.deepcopy(model).double()
    draw = lambda *shape: torch.randint(0, model.config.vocab_size, shape, generator=generator)
    ids = {"ids": draw(WINDOWS, LENGTH), "held_out": draw(HELD_OUT, LENGTH), "test": draw(TEST)}
    tensors, names = dict(ids), []
    for label, steps in CASES.items():
        if name == LARGE and steps[0]["cut"] != "layers" and label not in OF_LARGE:
            continue
        if steps[0].get("n", 0) >= len(cuts.blocks_of(model)):
            continue  # nothing would be left
        ours = case(model, steps, ids)
        difference = moved(ours, case(exact, steps, ids))
        print(f"{name}: {label}: rounding moves {difference:.1e}")
        assert difference < ROUNDING, f"{name}: {label}"
        tensors |= {f"{label}/{key}": values.contiguous() for key, values in ours.items()}
        names.append({"name": label, "steps": steps})
    if name == LARGE:
        tensors |= synthetic(generator)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "expected.safetensors")
    lines = ",\n".join("  " + json.dumps(line) for line in names)
    (folder / "cases.json").write_text(f"[\n{lines}\n]\n")


def synthetic(generator):
    """A matrix wider than the column blocks of 128, with correlated inputs and two that are always zero."""
    weight = torch.randn(24, 300, generator=generator)
    sources = torch.randn(4, 24, 60, generator=generator)
    mixed = sources @ torch.randn(60, 300, generator=generator) / 60**0.5
    inputs = mixed + 0.5 * torch.randn(4, 24, 300, generator=generator)
    inputs = 4.0 * inputs  # so that it hardly matters whether the mean diagonal counts dead inputs as 0 or 1
    inputs[..., [5, 200]] = 0.0
    rows = inputs.reshape(-1, 300).double()
    gram, sequences = rows.T @ rows, len(inputs)
    settings = {
        "sparsegpt": {"sparsity": 0.5},
        "sparsegpt-2-4": {"pattern": (2, 4)},
        "gptq-4": {"bits": 4, "group": GROUP},
        "sparsegpt-4-bits": {"sparsity": 0.5, "bits": 4, "group": GROUP},
    }
    tensors = {"synthetic/weight": weight, "synthetic/inputs": inputs}
    for label, setting in settings.items():
        ours = cuts.sweep(weight, gram, sequences, **setting)
        blocked = cuts.sweep(weight, gram, sequences, **setting, lazy=True)
        difference = moved({"": ours}, {"": blocked})
        print(f"synthetic: {label}: putting off the columns right of a block moves {difference:.1e}")
        assert difference < 1e-9
        tensors[f"synthetic/{label}"] = ours.float()
    return tensors


def main():
    golden.say_versions()
    torch.set_num_threads(1)  # the same bits on every machine of a kind
    for name, seed in FOLDERS.items():
        write_folder(name, seed)


if __name__ == "__main__":
    main()
