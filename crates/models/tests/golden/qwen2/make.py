"""Makes this folder and `qwen2-untied`: small random Qwen2s and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

qwen2         tied head; config.json has the fields of the Qwen2.5 checkpoints on the Hub: `rope_theta` at
              the top, no `layer_types`, the fields of the sliding window present and switched off
qwen2-untied  its own output head; the sliding window is on, 16 tokens wide, in the layers from
              `max_window_layers` on; config.json as transformers 5 writes it (`layer_types` says the same)

Both: queries, keys and values with biases, 4 heads on 2 key-value heads of 10 dimensions, rope_theta 1e6.
Everything is float32 with eager attention.
"""

import pathlib
import sys

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402

LENGTHS = [1, 2, 17, 64, 300]


def build(generator, layers, tied, **window):
    config = Qwen2Config(
        vocab_size=golden.VOCAB,
        hidden_size=40,
        intermediate_size=54,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
        attn_implementation="eager",
        **window,
    )
    model = Qwen2ForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.2, bias_std=0.3)
    return model


def as_on_the_hub(config):
    """The fields of Qwen/Qwen2.5-0.5B's config.json, and no other."""
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["torch_dtype"] = config.pop("dtype")
    config["sliding_window"] = 4096
    config["use_mrope"] = False
    config["transformers_version"] = "4.40.1"
    for field in ("layer_types", "pad_token_id"):
        config.pop(field)


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(30)

    off = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 2}
    golden.save(build(generator, layers=2, tied=True, **off), HERE)
    golden.rewrite_config(HERE, as_on_the_hub)

    on = {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}
    folder = HERE.parent / "qwen2-untied"
    untied = build(generator, layers=3, tied=False, **on)
    # What `max_window_layers` alone says is what `layer_types` says.
    assert untied.config.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]
    golden.save(untied, folder)

    for place in (HERE, folder):
        golden.write_expected(
            golden.reload(place),
            "mlp.down_proj",
            LENGTHS,
            generator,
            place / "expected.safetensors",
            layers="model.layers",
        )


if __name__ == "__main__":
    main()
