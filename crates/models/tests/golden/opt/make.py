"""Makes this folder: a small random OPT and what transformers computes with it.

    pip install -r ../requirements.txt
    python make.py

Pre-norm, ReLU, learned positions with OPT's offset of 2, every bias non-zero, tied head. The
tokenizer puts `</s>` in front, as OPT's does. Everything is float32 with eager attention.
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
    generator = torch.Generator().manual_seed(20)
    config = OPTConfig(
        vocab_size=golden.VOCAB,
        hidden_size=24,
        word_embed_proj_dim=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        ffn_dim=52,
        max_position_embeddings=64,
        do_layer_norm_before=True,
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
    model.save_pretrained(HERE)
    (HERE / "generation_config.json").unlink(missing_ok=True)
    golden.write_expected(model, ".fc2", [1, 2, 17, 64], generator, HERE / "expected.safetensors")
    golden.train_tokenizer(
        HERE / "tokenizer.json",
        golden.VOCAB,
        special=["<s>", "<pad>", "</s>", "<unk>"],
        first="</s>",
    )


if __name__ == "__main__":
    main()
