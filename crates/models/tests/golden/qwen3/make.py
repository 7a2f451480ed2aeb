"""Makes this folder: a small random Qwen3 and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

Queries and keys pass an RMS norm over each head before the rotation; heads are 14 wide, which is not
hidden / heads; no biases; tied head; rope_theta 1e6. Everything is float32 with eager attention.
"""

import pathlib
import sys

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(40)
    config = Qwen3Config(
        vocab_size=golden.VOCAB,
        hidden_size=36,
        intermediate_size=58,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=14,
        max_position_embeddings=512,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = Qwen3ForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.25)
    golden.save(model, HERE)
    golden.write_expected(
        golden.reload(HERE),
        "mlp.down_proj",
        [1, 2, 17, 64, 300],
        generator,
        HERE / "expected.safetensors",
        layers="model.layers",
    )


if __name__ == "__main__":
    main()
