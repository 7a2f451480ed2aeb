"""Makes this folder and `gemma3-old`: a small random Gemma 3 (text) and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

gemma3      config.json as transformers 5 writes it: `layer_types`, `rope_parameters` for each type
gemma3-old  the same weights with the config.json of transformers 4.50: `sliding_window_pattern`,
            `rope_theta`, `rope_scaling` and `rope_local_base_freq` at the top

GELU by tanh on the gate, four norms a layer that multiply by 1 + weight, norms on queries and keys, the
embedding scaled by sqrt(hidden), local layers (16 tokens, their own theta) and a global one (linear
rope scaling by 8), attention scaled by `query_pre_attn_scalar`, which is not the width of a head. Tied
head. Everything is float32 with eager attention.
"""

import pathlib
import shutil
import sys

import torch
from transformers import AutoConfig, Gemma3ForCausalLM, Gemma3TextConfig

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402

VOCAB = 101


def as_4_50_wrote_it(config):
    kinds = config.pop("rope_parameters")
    config["rope_theta"] = kinds["full_attention"]["rope_theta"]
    config["rope_scaling"] = {"factor": kinds["full_attention"]["factor"], "rope_type": "linear"}
    config["rope_local_base_freq"] = kinds["sliding_attention"]["rope_theta"]
    config["sliding_window_pattern"] = 3
    config["cache_implementation"] = "hybrid"
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.50.0"
    unknown = ("layer_types", "_sliding_window_pattern", "use_bidirectional_attention")
    for field in (*unknown, "tie_word_embeddings"):
        config.pop(field)


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(70)
    config = Gemma3TextConfig(
        vocab_size=VOCAB,
        hidden_size=36,
        intermediate_size=50,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=10,
        max_position_embeddings=512,
        rms_norm_eps=1e-6,
        query_pre_attn_scalar=14,
        sliding_window=16,
        layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
        attn_implementation="eager",
    )
    model = Gemma3ForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.25, norm_mean=0.1)
    golden.save(model, HERE)
    expected = HERE / "expected.safetensors"
    golden.write_expected(
        golden.reload(HERE),
        "mlp.down_proj",
        [1, 2, 15, 16, 17, 300],
        generator,
        expected,
        layers="model.layers",
    )

    old = HERE.parent / "gemma3-old"
    old.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "expected.safetensors"):
        shutil.copyfile(HERE / name, old / name)
    golden.rewrite_config(old, as_4_50_wrote_it)
    # transformers 5 reads the same model out of it.
    said, written = AutoConfig.from_pretrained(old).to_dict(), AutoConfig.from_pretrained(HERE).to_dict()
    differ = {field for field in said | written if said.get(field) != written.get(field)}
    print("gemma3-old: fields that read differently:", sorted(differ))
    ids = torch.arange(40) % VOCAB
    new_logits, _, _ = golden.forward(golden.reload(HERE), None, ids)
    old_logits, _, _ = golden.forward(golden.reload(old), None, ids)
    assert torch.equal(new_logits, old_logits)


if __name__ == "__main__":
    main()
