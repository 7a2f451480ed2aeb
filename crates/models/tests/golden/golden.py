"""What the make.py scripts of the golden folders share: seeded weights, tokenizers, expected outputs."""

import platform
import string

import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCAB = 131  # not a power of two, and odd

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


def fill(model, generator, std, bias_std=0.0, bias_shift=None):
    """Normal weights of standard deviation `std`, norm weights about 1, biases as told.

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
                parameter.copy_(1.0 + 0.2 * noise)
            else:
                parameter.copy_(std * noise)


def forward(model, ends, ids):
    """Logits [N, vocab] and, per layer, the hidden [N, ffn] that enters the module named `ends`."""
    hidden = []

    def watch(_module, inputs):
        hidden.append(inputs[0].reshape(ids.shape[0], -1).clone())

    sites = [module for name, module in model.named_modules() if name.endswith(ends)]
    handles = [site.register_forward_pre_hook(watch) for site in sites]
    with torch.inference_mode():
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return logits, hidden


def write_expected(model, ends, lengths, generator, path):
    """`ids.N` int64 [N], `logits.N` f32 [N, vocab], `h.N.L` f32 [N, ffn] for every length N and layer L."""
    tensors = {}
    for length in lengths:
        ids = torch.randint(0, VOCAB, (length,), generator=generator)
        logits, hidden = forward(model, ends, ids)
        tensors[f"ids.{length}"] = ids
        tensors[f"logits.{length}"] = logits.contiguous()
        for layer, h in enumerate(hidden):
            tensors[f"h.{length}.{layer}"] = h.contiguous()
        zeros = sum((h == 0).sum().item() for h in hidden) / sum(h.numel() for h in hidden)
        print(
            f"{path.parent.name}: length {length}, logits std {logits.std(correction=0):.3f}, "
            f"max |logit| {logits.abs().max():.3f}, zeros in h {zeros:.3f}"
        )
    save_file(tensors, path)
