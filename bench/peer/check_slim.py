"""Opens models that were written here with transformers and llama.cpp, and no code of this project.

    python check_slim.py MANIFEST.json...

A manifest lists models with the ids and logits that they should give (`entries`: family, cut, form, folder,
expected), and texts as ids on which llama.cpp's perplexity is to be ours (`perplexities`: file, ids, window,
ours). Every model is opened by its own library alone: a folder by `AutoModelForCausalLM.from_pretrained`
(packed matrices by `compressed-tensors`), a GGUF file by llama.cpp. Prints the largest difference by family
and cut, and fails where one is larger than its bound.
"""

import argparse
import collections
import json
import math
import pathlib
import sys

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

# Absolute, of logits of a size of some units. llama.cpp works in F32 as we do, in another order.
BOUNDS = {"f32": 1e-4, "packed-f32": 1e-3, "gguf-f32": 1e-3}
# Relative, of perplexities.
PERPLEXITY_BOUND = 0.005


class LlamaCpp:
    """A GGUF file in llama.cpp, with keys and values in F32."""

    def __init__(self, path, n_ctx):
        from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib

        self.ffi, self.lib = get_ffi(), get_lib()
        self.lib.llama_backend_init()
        self.silence = self.ffi.callback("void(int, const char *, void *)", lambda *_: None)
        self.lib.llama_log_set(self.silence, self.ffi.NULL)
        params = self.lib.llama_model_default_params()
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), params)
        if self.model == self.ffi.NULL:
            sys.exit(f"llama.cpp does not load {path}")
        context = self.lib.llama_context_default_params()
        context.n_ctx = context.n_batch = context.n_ubatch = n_ctx
        context.type_k = context.type_v = 0
        context.flash_attn_type = 0
        self.context = self.lib.llama_init_from_model(self.model, context)
        if self.context == self.ffi.NULL:
            sys.exit(f"llama.cpp makes no context for {path}")
        self.vocabulary = self.lib.llama_vocab_n_tokens(self.lib.llama_model_get_vocab(self.model))

    def logits(self, ids):
        """[tokens, vocabulary] of one sequence."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        batch = self.lib.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for at, token in enumerate(ids):
            batch.token[at] = int(token)
            batch.pos[at] = at
            batch.n_seq_id[at] = 1
            batch.seq_id[at][0] = 0
            batch.logits[at] = 1
        if self.lib.llama_decode(self.context, batch) != 0:
            sys.exit("llama.cpp does not decode")
        values = self.lib.llama_get_logits(self.context)
        size = len(ids) * self.vocabulary * 4
        flat = np.frombuffer(self.ffi.buffer(values, size), dtype=np.float32).copy()
        self.lib.llama_batch_free(batch)
        return flat.reshape(len(ids), self.vocabulary)

    def tokenize(self, text):
        """Ids of a text, with the special tokens that the file says."""
        vocabulary = self.lib.llama_model_get_vocab(self.model)
        data = text.encode()
        room = self.ffi.new("llama_token[]", len(data) + 8)
        n = self.lib.llama_tokenize(vocabulary, data, len(data), room, len(room), True, True)
        return list(room[0:n])

    def close(self):
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)


def of_transformers(folder, ids):
    """Logits of a folder, by transformers alone."""
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    for what in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        if info[what]:
            raise ValueError(f"{what}: {sorted(map(str, info[what]))[:3]}")
    with torch.no_grad():
        return model(torch.tensor(ids)[None]).logits[0].numpy()


def gguf_of(folder):
    (file,) = pathlib.Path(folder).glob("*.gguf")
    return file


def of_llama_cpp(folder, ids):
    model = LlamaCpp(gguf_of(folder), max(32, len(ids)))
    logits = model.logits(ids)
    model.close()
    return logits


def apart(entry):
    """The largest difference of a model's logits from those that it should have; infinite where NaN."""
    expected = load_file(entry["expected"])
    ids, logits = expected["ids"], expected["logits"]
    run = of_llama_cpp if entry["form"].startswith("gguf") else of_transformers
    found = run(entry["folder"], ids)[:, : logits.shape[1]]
    most = float(np.abs(found - logits).max()) if found.shape == logits.shape else math.nan
    return 1e38 if math.isnan(most) else most


def check_logits(entries):
    """Whether every model is near enough; prints a table of families by form."""
    worst, n = collections.defaultdict(dict), collections.Counter()
    failed = []
    for entry in entries:
        family, cut, form = entry["family"], entry["cut"], entry["form"]
        bound = entry.get("bound", BOUNDS.get(form))
        try:
            most = apart(entry)
        except Exception as error:  # Whatever a library raises is a model that it does not open.
            failed.append(f"{family}, {cut}, {form}: {type(error).__name__}: {str(error)[:300]}")
            most = math.inf
        n[form] += 1
        worst[form][family, cut] = most
        if not most <= bound and most < math.inf:
            failed.append(f"{family}, {cut}, {form}: {most:.1e} apart, at most {bound:.0e} is allowed")
    for form, of_form in worst.items():
        families = sorted({family for family, _ in of_form})
        cuts = list(dict.fromkeys(cut for _, cut in of_form))
        print(f"{form}: {n[form]} models, largest difference of a logit (bound {BOUNDS.get(form)})")
        print(f"| family | {' | '.join(cuts)} |")
        print(f"| --- |{' --: |' * len(cuts)}")
        for family in families:
            cells = [of_form.get((family, cut)) for cut in cuts]
            shown = ["" if cell is None else f"{cell:.0e}" for cell in cells]
            print(f"| {family} | {' | '.join(shown)} |")
        print()
    return failed


def nll(logits, ids):
    """Sum of the negative log-likelihoods of ids[1:], nats, in f64."""
    rows = logits[:-1].astype(np.float64)
    top = rows.max(axis=1)
    log_sum = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    return float((log_sum - rows[np.arange(len(rows)), ids[1:]]).sum())


def check_perplexities(texts):
    """Whether llama.cpp's perplexity of a text is ours, and its ids too."""
    failed = []
    for text in texts:
        window = text["window"]
        model = LlamaCpp(gguf_of(text["folder"]), window)
        whole = pathlib.Path(text["text"]).read_text()
        ids = model.tokenize(whole)
        own = text["ids"]
        same = ids[: len(own)] == own
        total, targets = 0.0, 0
        for start in range(0, len(own) - window + 1, window):
            of_window = np.array(own[start : start + window])
            total += nll(model.logits(of_window), of_window)
            targets += window - 1
        model.close()
        theirs = math.exp(total / targets)
        ratio = theirs / text["ours"] - 1
        print(
            f"{text['name']}: perplexity {theirs:.4f} in llama.cpp, {text['ours']:.4f} here "
            f"({100 * ratio:+.3f} %) over {targets} targets; ids {'the same' if same else 'NOT the same'}"
        )
        bound = text.get("bound", PERPLEXITY_BOUND)
        if not abs(ratio) <= bound:
            failed.append(f"{text['name']}: perplexities are {100 * ratio:.2f} % apart")
        if not same:
            failed.append(f"{text['name']}: llama.cpp cuts the text otherwise")
    return failed


def check_packed_sizes(entries):
    """Packed matrices must be packed: no weight of a packed module stands beside its words."""
    failed = []
    for entry in entries:
        if not entry["form"].startswith("packed"):
            continue
        for file in pathlib.Path(entry["folder"]).glob("*.safetensors"):
            with safe_open(file, framework="np") as tensors:
                names = set(tensors.keys())
            packed = {name.removesuffix("_packed") for name in names if name.endswith("_packed")}
            if not packed or packed & names:
                failed.append(f"{entry['family']}, {entry['cut']}: not packed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifests", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    failed = []
    for path in args.manifests:
        manifest = json.loads(path.read_text())
        entries = manifest.get("entries", [])
        failed += check_packed_sizes(entries)
        failed += check_logits(entries)
        failed += check_perplexities(manifest.get("perplexities", []))
        for refused in manifest.get("refused", []):
            print(f"refused: {refused}")
    for problem in failed:
        print(f"FAILED: {problem}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
