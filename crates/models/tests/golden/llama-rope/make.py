"""Makes this folder, `llama-linear`, `llama-relu` and `llama-bias`: what else a Llama may be.

    pip install -r ../requirements.txt
    python make.py

llama-rope    rope scaling `llama3` (the three ranges of wavelengths all occur), with the fields of the
              Llama 3 checkpoints on the Hub: `rope_scaling` and `rope_theta` at the top
llama-linear  rope scaling `linear`, spelled as the first Llama configs did: `type`, an untyped theta
llama-relu    `hidden_act` is relu: the gate of a sparse checkpoint, and exact zeros in h
llama-bias    biases on all projections of the attention and of the feed-forward block

Heads are 10 or 6 wide, two or three to a key-value head. Everything is float32 with eager attention.
"""

import pathlib
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402

VOCAB = 53
SHORT = [1, 2, 17]
LONG = [1, 2, 17, 300]
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def build(generator, rope=None, bias_std=0.0, **fields):
    config = LlamaConfig(
        vocab_size=VOCAB,
        intermediate_size=42,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0} | (rope or {}),
        tie_word_embeddings=True,
        attn_implementation="eager",
        **fields,
    )
    model = LlamaForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.25, bias_std=bias_std)
    return model


def old_rope(scaling):
    """Rewrites config.json with `rope_scaling` and `rope_theta` as transformers 4 had them."""

    def change(config):
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
        config["rope_scaling"] = scaling
        config["torch_dtype"] = config.pop("dtype")
        config["transformers_version"] = "4.43.0"

    return change


def expect(folder, lengths, generator):
    golden.write_expected(
        golden.reload(folder),
        "mlp.down_proj",
        lengths,
        generator,
        folder / "expected.safetensors",
        layers="model.layers",
    )


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(11)
    few = {"hidden_size": 20, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 10}
    many = {"hidden_size": 36, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 6}

    golden.save(build(generator, rope=LLAMA3, num_hidden_layers=2, **few), HERE)
    golden.rewrite_config(HERE, old_rope(LLAMA3))
    expect(HERE, LONG, generator)

    folder = HERE.parent / "llama-linear"
    linear = {"rope_type": "linear", "factor": 4.0}
    golden.save(build(generator, rope=linear, num_hidden_layers=1, **few), folder)
    golden.rewrite_config(folder, old_rope({"type": "linear", "factor": 4.0}))
    expect(folder, LONG, generator)

    folder = HERE.parent / "llama-relu"
    relu = {"hidden_act": "relu", "attention_bias": False, "mlp_bias": False}
    golden.save(build(generator, num_hidden_layers=2, **relu, **many), folder)
    expect(folder, SHORT, generator)

    folder = HERE.parent / "llama-bias"
    biased = {"attention_bias": True, "mlp_bias": True}
    golden.save(build(generator, num_hidden_layers=1, bias_std=0.3, **biased, **many), folder)
    expect(folder, SHORT, generator)


if __name__ == "__main__":
    main()
