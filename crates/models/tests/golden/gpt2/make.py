"""Makes this folder and `gpt2-bare`: a small random GPT-2 and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

gpt2       as transformers saves it: names begin with `transformer.`
gpt2-bare  the same weights as the Hub serves "gpt2": names without that prefix, the causal masks that
           old versions kept as buffers (`h.N.attn.bias`, in bytes here, as some files have them, to stay
           small; "gpt2" itself has them in float32), no head; in a pickle (zip form)

Conv1D weights are [in, out]; GELU by tanh; every bias non-zero; tied head. Everything is float32 with
eager attention.
"""

import pathlib
import shutil
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402

VOCAB = 91
POSITIONS = 320


def as_on_the_hub(config):
    """The fields by which the config.json of "gpt2" differs from what is written today."""
    config["n_ctx"] = POSITIONS
    for field in ("dtype", "transformers_version", "tie_word_embeddings", "add_cross_attention"):
        config.pop(field, None)


def write_bare(model, folder):
    folder.mkdir(exist_ok=True)
    tensors = {}
    for name, tensor in model.transformer.state_dict().items():
        tensors[name] = tensor
        if name.endswith("ln_1.bias"):
            mask = torch.tril(torch.ones(POSITIONS, POSITIONS, dtype=torch.uint8))[None, None]
            tensors[name.replace("ln_1.bias", "attn.bias")] = mask
    torch.save(tensors, folder / "pytorch_model.bin")
    shutil.copyfile(HERE / "config.json", folder / "config.json")
    golden.rewrite_config(folder, as_on_the_hub)


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(60)
    config = GPT2Config(
        vocab_size=VOCAB,
        n_positions=POSITIONS,
        n_embd=30,
        n_layer=2,
        n_head=3,
        activation_function="gelu_new",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).float().eval()
    golden.fill(model, generator, std=0.3, bias_std=0.2)
    golden.save(model, HERE)
    expected = HERE / "expected.safetensors"
    golden.write_expected(
        golden.reload(HERE),
        "mlp.c_proj",
        [1, 2, 17, 300],
        generator,
        expected,
        layers="transformer.h",
    )

    bare = HERE.parent / "gpt2-bare"
    write_bare(model, bare)
    # transformers itself makes the same model of it; the masks are left over.
    again = golden.reload(bare, strict=False)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    shutil.copyfile(expected, bare / "expected.safetensors")


if __name__ == "__main__":
    main()
