"""Makes this folder: a small random Mistral and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

Every layer sees 16 tokens, itself included: lengths about that border. `head_dim` is told and is not
hidden / heads; its own output head. Everything is float32 with eager attention.
"""

import pathlib
import sys

import torch
from transformers import MistralConfig, MistralForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(50)
    config = MistralConfig(
        vocab_size=golden.VOCAB,
        hidden_size=36,
        intermediate_size=62,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=10,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        sliding_window=16,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    model = MistralForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.21)
    golden.save(model, HERE)
    golden.write_expected(
        golden.reload(HERE),
        "mlp.down_proj",
        [1, 2, 15, 16, 17, 300],
        generator,
        HERE / "expected.safetensors",
        layers="model.layers",
    )


if __name__ == "__main__":
    main()
