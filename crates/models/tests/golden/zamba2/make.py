"""Makes this folder and `zamba2-two`: small random Zamba2s and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

zamba2      one shared block, used at three depths, with adapters for each use on gate and up and on
            queries, keys and values; rotary positions; one group: the options of Zamba2-1.2B.
            config.json as transformers 4.48 wrote it, as the Hub has it
zamba2-two  two shared blocks that take turns (the second is used once), adapters on gate and up only, no
            positions, two groups: the options of Zamba2-2.7B, with the groups of Zamba2-7B. config.json
            as transformers 5 writes it

The shared block is stored once, under the first layer that uses it, all its adapters with it (number i
belongs to use i, counted over all blocks). Gate and up are one matrix, the gate's rows first; exact GELU;
the block reads the residual stream beside the embedding, and its output, through `linear`, is added to
what the mixer reads, not to the residual stream. Everything is float32 with eager attention.

Time steps: transformers clips them from below at `time_step_min` (0.001), the original code does not. In
`zamba2` no time step is that small, so both agree; in `zamba2-two` some are: expected.safetensors holds the
values of transformers (5.24, whose every path clips), original.safetensors some logits of the original code.
"""

import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import Zamba2Config, Zamba2ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402
import mamba  # noqa: E402

VOCAB = 61
LENGTHS = [1, 2, 15, 16, 17, 300]
ORIGINAL = 17
TIME_STEP_MIN = 0.001
# By number of the layer the uses 0, 1, 2 would all fall to other blocks: only their own order gives 0, 1, 0.
KINDS = ["mamba", "hybrid", "mamba", "hybrid", "hybrid", "mamba"]
USES = [layer for layer, kind in enumerate(KINDS) if kind == "hybrid"]


def build(generator, dt_mean, dt_std, **options):
    config = Zamba2Config(
        vocab_size=VOCAB,
        hidden_size=24,
        num_hidden_layers=len(KINDS),
        layers_block_type=KINDS,
        mamba_d_state=10,
        mamba_d_conv=4,
        mamba_expand=2,
        n_mamba_heads=8,
        chunk_size=16,
        time_step_min=TIME_STEP_MIN,
        intermediate_size=38,
        hidden_act="gelu",
        num_attention_heads=4,
        adapter_rank=5,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        attn_implementation="eager",
        **options,
    )
    model = Zamba2ForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.2, bias_std=0.2)
    mamba.fill_mixers(model, generator, dt_mean, dt_std)
    calm(model)
    return model


def calm(model):
    """Queries and keys at half their size, adapters included, and time steps nearer to their biases.

    Attention that is all or nothing lets float32 rounding grow past the tolerance in a model this deep.
    """
    gains = {"embed_tokens.": 1.5, "q_proj.": 0.5, "k_proj.": 0.5}
    gains |= {f"linear_{part}_adapter_list.": 0.5**0.5 for part in "qk"}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for part, gain in gains.items():
                if part in name:
                    parameter.mul_(gain)
        for mixer in mamba.mixers(model):
            mixer.in_proj.weight[-mixer.num_heads :].mul_(0.3)


def as_on_the_hub(config):
    """The fields of transformers 4.48: the kinds of layers by their old names, what follows from others too."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    config["layers_block_type"] = KINDS
    config["hybrid_layer_ids"] = USES
    config["attention_hidden_size"] = 2 * hidden
    config["attention_head_dim"] = 2 * hidden // heads
    config["kv_channels"] = hidden // heads
    config["num_query_groups"] = heads
    config["mamba_headdim"] = config["mamba_expand"] * hidden // config["n_mamba_heads"]
    config["rope_theta"] = 10000
    config["time_step_limit"] = None
    config["use_shared_mlp_adapter"] = True
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.48.0"
    for field in ("rope_parameters", "tie_word_embeddings"):
        config.pop(field)


def as_the_original_clips(model):
    """Not at all: `dt_limit` of the original layer is (0, inf)."""
    for mixer in mamba.mixers(model):
        mixer.time_step_limit = (0.0, float("inf"))
    return model


def stored_names(folder, blocks):
    """The shared blocks must be in the file once, under their first uses."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = list(file.keys())
    assert "lm_head.weight" not in names
    holders = {int(name.split(".")[2]) for name in names if ".shared_transformer." in name}
    assert holders == set(USES[:blocks]), holders


def expect(folder, generator):
    model = golden.reload(folder)
    ids = torch.randint(0, VOCAB, (300,), generator=generator)
    dt = mamba.say_time_steps(model, folder.name, ids, TIME_STEP_MIN, float("inf"))
    clipped, _, _ = golden.forward(model, None, ids)
    mamba.say_decoding(model, folder.name, ids[:40])
    golden.write_expected(
        model,
        "feed_forward.down_proj",
        LENGTHS,
        generator,
        folder / "expected.safetensors",
        layers="model.layers",
        more=mamba.observe,
    )
    free, _, _ = golden.forward(as_the_original_clips(model), None, ids)
    print(f"{folder.name}: clipping moves the logits by {(clipped - free).abs().max():.2e}")
    return dt


def expect_original(folder):
    """The logits of one sequence of expected.safetensors without limits of the time steps."""
    with safe_open(folder / "expected.safetensors", "pt") as file:
        ids = file.get_tensor(f"ids.{ORIGINAL}")
    model = as_the_original_clips(golden.reload(folder))
    mamba.observe(model, ids)
    logits, _, _ = golden.forward(model, None, ids)
    tensors = {f"ids.{ORIGINAL}": ids, f"logits.{ORIGINAL}": logits.contiguous()}
    save_file(tensors, folder / "original.safetensors")


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(90)

    options = {"num_mem_blocks": 1, "use_mem_rope": True, "use_shared_attention_adapter": True}
    golden.save(build(generator, -2.0, 0.3, mamba_ngroups=1, **options), HERE)
    golden.rewrite_config(HERE, as_on_the_hub)
    stored_names(HERE, blocks=1)
    assert expect(HERE, generator).min() > TIME_STEP_MIN

    folder = HERE.parent / "zamba2-two"
    options = {"num_mem_blocks": 2, "use_mem_rope": False, "use_shared_attention_adapter": False}
    golden.save(build(generator, -4.5, 1.5, mamba_ngroups=2, **options), folder)
    stored_names(folder, blocks=2)
    assert expect(folder, generator).min() < TIME_STEP_MIN
    expect_original(folder)


if __name__ == "__main__":
    main()
