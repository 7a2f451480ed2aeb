"""What the make.py scripts of the golden folders share: seeded weights, tokenizers, expected outputs."""

import copy
import json
import platform
import string

import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM

VOCAB = 131  # not a power of two, and odd
DETAILED = 64  # longer sequences get ids and logits only
ROUNDING = 2e-5  # a fifth of the tolerance: the rest is for the other implementation

SENTENCES = [
    " = The quiet harbour = ",
    " The lamp in the tower was lit by the keeper at dusk , and the boats came home one by one . ",
    " In 1874 the town had 312 houses , two mills and a school with 56 pupils . ",
    " She asked the baker for bread , but the baker had none ; he gave her a small cake instead . ",
    " The river rose in the night . In the morning the bridge was gone and the road was under water . ",
    " \" Where is the other boat ? \" asked the old man . \" It is still out there , \" said his daughter . ",
    " They did not find the ring in the garden , nor in the well , nor under the third step . ",
    " The captain 's map showed an island that no other map had ever shown : it was drawn in red . ",
    " When the bell rang the children ran to the gate , and the dog ran after them . ",
]


def alphabet():
    """Every printable character that the golden texts may use, so that no byte of theirs is lost."""
    return sorted(string.ascii_letters + string.digits + " .,;:?!'\"=-()\n")


def say_versions():
    transformers.utils.logging.disable_progress_bar()
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    )


def train_tokenizer(path, vocab, special=(), first=None):
    """A small byte-level BPE; `first` is the special token that the post-processor puts in front."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    seen = [piece for piece, _ in byte_level.pre_tokenize_str("".join(alphabet()))]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(special),
        initial_alphabet=sorted(set("".join(seen))),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if first is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, tokenizer.token_to_id(first))]
        )
    tokenizer.save(str(path))
    return tokenizer


def fill(model, generator, std, bias_std=0.0, bias_shift=None, norm_mean=1.0):
    """Normal weights of standard deviation `std`, norm weights about `norm_mean`, biases as told.

    `bias_shift` maps the end of a bias's name to a value that is added to it.
    """
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias"):
                parameter.copy_(bias_std * noise)
                for end, shift in (bias_shift or {}).items():
                    if name.endswith(end):
                        parameter.add_(shift)
            elif parameter.dim() == 1:
                parameter.copy_(norm_mean + 0.2 * noise)
            else:
                parameter.copy_(std * noise)


def rewrite_config(folder, change):
    """Applies `change` to the fields of config.json and writes them in alphabetical order."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def reload(folder, strict=True):
    """The model that transformers makes of a folder, in float32, with eager attention.

    `strict`: no tensor may be missing, left over or of another shape.
    """
    model, said = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if strict:
        assert not any(said.values()), said
    return model.eval()


def save(model, folder):
    """config.json and model.safetensors, nothing else."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def rows(values, length):
    """What a module took or gave, without the batch axis: [N, width]."""
    values = values[0] if isinstance(values, tuple) else values
    return values.reshape(length, -1).clone()


def forward(model, ends, ids, layers=None):
    """Logits [N, vocab]; the input [N, ffn] of each module whose name ends in `ends`, in the order of use;
    the output [N, d_model] of each module in the list named `layers`."""
    hidden, blocks, handles = [], [], []
    if ends is not None:
        for name, module in model.named_modules():
            if name.endswith(ends):
                handles.append(
                    module.register_forward_pre_hook(
                        lambda _module, inputs: hidden.append(rows(inputs, len(ids)))
                    )
                )
    if layers is not None:
        for module in model.get_submodule(layers):
            handles.append(
                module.register_forward_hook(
                    lambda _module, _inputs, output: blocks.append(rows(output, len(ids)))
                )
            )
    with torch.inference_mode():
        output = model(input_ids=ids[None], use_cache=False, output_hidden_states=layers is not None)
    for handle in handles:
        handle.remove()
    # The list that transformers gives starts with the embedding (not in Mamba-2) and ends after the
    # final norm, so all but the last block must be in it.
    for block in blocks[:-1]:
        assert any(torch.equal(rows(states, len(ids)), block) for states in output.hidden_states)
    return output.logits[0], hidden, blocks


def rounding(model, ends, layers, ids, ours):
    """How far the values move when the model runs in float64: what the order of float32 sums may cost.

    `ours` is what `forward` gave; of a longer sequence only the logits count, as only they are kept.
    """
    exact = forward(copy.deepcopy(model).double(), ends, ids, layers)
    kept = slice(None) if len(ids) <= DETAILED else slice(1)
    pairs = zip([exact[0], *exact[1], *exact[2]][kept], [ours[0], *ours[1], *ours[2]][kept], strict=True)
    return max((theirs - values.double()).abs().max().item() for theirs, values in pairs)


def write_expected(model, ends, lengths, generator, path, layers=None, more=None):
    """Writes what the model computes for random ids of every length N:

    `ids.N` int64 [N], `logits.N` f32 [N, vocab]; for N up to DETAILED also `h.N.S` f32 [N, ffn] for every
    use S of a down projection, in the order of the forward pass; where `layers` is told `block.N.L` f32
    [N, d_model], the residual stream after layer L; and whatever `more(model, ids)` returns as
    {"name": [one tensor for each S]}.
    """
    tensors = {}
    for length in lengths:
        ids = torch.randint(0, model.config.vocab_size, (length,), generator=generator)
        logits, hidden, blocks = ours = forward(model, ends, ids, layers)
        tensors[f"ids.{length}"] = ids
        tensors[f"logits.{length}"] = logits.contiguous()
        extra = more(model, ids) if more else {}
        if length <= DETAILED:
            for name, list_of_values in {"h": hidden, "block": blocks, **extra}.items():
                for index, values in enumerate(list_of_values):
                    tensors[f"{name}.{length}.{index}"] = values.contiguous()
        moved = rounding(model, ends, layers, ids, ours)
        assert moved < ROUNDING, f"{path.parent.name}: length {length}: rounding costs {moved:.1e}"
        line = (
            f"{path.parent.name}: length {length}, logits std {logits.std(correction=0):.3f}, "
            f"max |logit| {logits.abs().max():.3f}, rounding {moved:.1e}"
        )
        if hidden:
            zeros = sum((h == 0).sum().item() for h in hidden) / sum(h.numel() for h in hidden)
            line += f", zeros in h {zeros:.3f}"
        print(line)
    save_file(tensors, path)
