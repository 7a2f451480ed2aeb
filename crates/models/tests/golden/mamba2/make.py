"""Makes this folder, `mamba2-one-group`, `mamba2-head-groups` and `mamba2-original`.

    pip install -r ../requirements.txt
    python make.py

mamba2              8 heads in 2 groups, convolution with bias, its own head; time steps clipped on both
                    sides (`time_step_limit`)
mamba2-one-group    one group, convolution without and projections with bias, tied head; no limit, and
                    config.json as transformers 5 writes an infinite one: {"__float__": "Infinity"}
mamba2-head-groups  a group for each head, and norms with another epsilon (the gated norm over 6 channels
                    would blow up rounding otherwise); config.json as transformers 4 wrote it, the
                    infinite limit as a bare `Infinity`, which JSON does not know
mamba2-original     the names, the config.json and the pickle of the original code (state-spaces): one
                    group, the vocabulary of 70 padded to 80; config.json names the shapes that the
                    published models leave at their defaults

Heads are 6 wide, with 10 state channels; chunks of 16. Everything is float32. The scan and the last
states are checked against the plain recurrence of ../mamba.py while they are written.
"""

import collections
import json
import pathlib
import sys

import torch
from transformers import Mamba2Config, Mamba2ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402
import mamba  # noqa: E402

LENGTHS = [1, 2, 15, 16, 17, 300]
LIMIT = (0.02, 0.3)
UNLIMITED = (0.0, float("inf"))


def build(generator, limit=UNLIMITED, vocab=61, eps=1e-5, **fields):
    config = Mamba2Config(
        vocab_size=vocab,
        hidden_size=24,
        expand=2,
        num_heads=8,
        head_dim=6,
        state_size=10,
        conv_kernel=4,
        num_hidden_layers=2,
        chunk_size=16,
        time_step_limit=limit,
        layer_norm_epsilon=eps,
        **fields,
    )
    model = Mamba2ForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.3, bias_std=0.2)
    mamba.fill_mixers(model, generator, dt_mean=-2.2, dt_std=0.8)
    return model


def expect(model, folder, generator):
    golden.write_expected(
        model,
        None,
        LENGTHS,
        generator,
        folder / "expected.safetensors",
        layers="backbone.layers",
        more=mamba.observe,
    )
    ids = torch.randint(0, model.config.vocab_size, (300,), generator=generator)
    low, high = model.config.time_step_limit
    mamba.say_time_steps(model, folder.name, ids, low, high)
    mamba.say_decoding(model, folder.name, ids[:40])


def as_transformers_4_wrote_it(config):
    """With what the converted state-spaces models have: fields that decide nothing, and `Infinity`."""
    config["time_step_limit"] = [0.0, float("inf")]
    config["torch_dtype"] = config.pop("dtype")
    config["norm_before_gate"] = False
    config["rms_norm"] = True
    config["transformers_version"] = "4.46.0"


def original_names(model):
    """The state dict of the original code: `embedding`, and the head as a second view of it."""
    tensors = collections.OrderedDict()
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            tensors[name.replace("backbone.embeddings", "backbone.embedding")] = tensor
    tensors["lm_head.weight"] = tensors["backbone.embedding.weight"]
    # Module.state_dict() leaves this attribute on its result, and it is pickled with it.
    tensors._metadata = collections.OrderedDict({"": {"version": 1}})
    return tensors


def write_original(model, folder, vocab):
    folder.mkdir(exist_ok=True)
    config = model.config
    fields = {
        "d_model": config.hidden_size,
        "d_intermediate": 0,
        "n_layer": config.num_hidden_layers,
        "vocab_size": vocab,
        "ssm_cfg": {
            "layer": "Mamba2",
            "d_state": config.state_size,
            "headdim": config.head_dim,
            "ngroups": config.n_groups,
            "chunk_size": config.chunk_size,
        },
        "attn_layer_idx": [],
        "attn_cfg": {},
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 16,
        "tie_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(fields, indent=4) + "\n")
    torch.save(original_names(model), folder / "pytorch_model.bin")


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(80)

    golden.save(build(generator, limit=LIMIT, n_groups=2), HERE)
    expect(golden.reload(HERE), HERE, generator)

    folder = HERE.parent / "mamba2-one-group"
    options = {"use_conv_bias": False, "use_bias": True, "tie_word_embeddings": True}
    golden.save(build(generator, n_groups=1, **options), folder)
    expect(golden.reload(folder), folder, generator)

    folder = HERE.parent / "mamba2-head-groups"
    options = {"tie_word_embeddings": True, "eps": 1e-3}
    golden.save(build(generator, n_groups=8, **options), folder)
    golden.rewrite_config(folder, as_transformers_4_wrote_it)
    expect(golden.reload(folder), folder, generator)

    folder = HERE.parent / "mamba2-original"
    original = build(generator, n_groups=1, vocab=80, tie_word_embeddings=True)
    write_original(original, folder, vocab=70)
    expect(original, folder, generator)


if __name__ == "__main__":
    main()
