"""Makes this folder: a small random OPT of the shape that only OPT-350m has.

    pip install -r ../requirements.txt
    python make.py

The norms come after the residual sums, there is no final norm, and the embedding is narrower than the
residual stream: `project_in` and `project_out`, without a bias, lead in and out. Every bias is non-zero,
the head is tied to the narrow embedding. Everything is float32 with eager attention.
"""

import pathlib
import sys

import torch
from transformers import OPTConfig, OPTForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(21)
    config = OPTConfig(
        vocab_size=golden.VOCAB,
        hidden_size=36,
        word_embed_proj_dim=22,
        num_hidden_layers=3,
        num_attention_heads=6,
        ffn_dim=52,
        max_position_embeddings=64,
        do_layer_norm_before=False,
        activation_function="relu",
        dropout=0.0,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=1,
        attn_implementation="eager",
    )
    model = OPTForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.3, bias_std=0.2, bias_shift={"fc1.bias": -0.5})
    golden.save(model, HERE)
    golden.write_expected(
        golden.reload(HERE),
        ".fc2",
        [1, 2, 17, 64],
        generator,
        HERE / "expected.safetensors",
        layers="model.decoder.layers",
    )


if __name__ == "__main__":
    main()
