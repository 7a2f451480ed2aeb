"""Opens models that were written here with transformers and llama.cpp, and no code of this project.

    python check_slim.py MANIFEST.json...

A manifest lists models with the ids and logits that they should give, or a twin with the same weights
(`entries`: family, cut, form, folder, and expected or twin), and texts on which llama.cpp's perplexity is to be
ours (`perplexities`: file, text, window, ours). Every model is opened by its own library alone: a folder by `AutoModelForCausalLM.from_pretrained`
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
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils import logging

# Absolute, of logits of a size of some units. llama.cpp works in F32 as we do, in another order.
BOUNDS = {
    "f32": 1e-4, "f16": 1e-4, "bf16": 1e-4, "packed-f32": 1e-3, "packed-f16": 1e-3, "gguf-f32": 1e-3
}
# Relative, of perplexities. With blocks of few bits llama.cpp rounds what it multiplies them with as well.
PERPLEXITY_BOUNDS = {"gguf-f32": 0.005, "gguf-f16": 0.005, "gguf-q8_0": 0.01, "gguf-q4_0": 0.03}


class LlamaCpp:
    """A GGUF file in llama.cpp, with keys and values in F32."""

    def __init__(self, path, n_ctx):
        import llama_cpp

        self.api = llama_cpp
        llama_cpp.llama_backend_init()
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, None)
        params = llama_cpp.llama_model_default_params()
        # Weights stay as the file has them: the layout for AMX crashes on some virtual machines.
        params.use_extra_bufts = False
        self.model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), params
        )
        if not self.model:
            raise ValueError(f"llama.cpp does not load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = n_ctx
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            raise ValueError(f"llama.cpp makes no context for {path}")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.rows = llama_cpp.llama_vocab_n_tokens(self.vocabulary)

    def logits(self, ids):
        """[tokens, vocabulary] of one sequence."""
        api = self.api
        api.llama_memory_clear(api.llama_get_memory(self.context), True)
        batch = api.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for at, token in enumerate(ids):
            batch.token[at] = int(token)
            batch.pos[at] = at
            batch.n_seq_id[at] = 1
            batch.seq_id[at][0] = 0
            batch.logits[at] = True
        if api.llama_decode(self.context, batch) != 0:
            raise ValueError("llama.cpp does not decode")
        values = api.llama_get_logits(self.context)
        found = np.ctypeslib.as_array(values, (len(ids), self.rows)).copy()
        api.llama_batch_free(batch)
        return found

    def tokenize(self, text):
        """Ids of a text, with the special tokens that the file says."""
        data = text.encode()
        room = (self.api.llama_token * (len(data) + 8))()
        n = self.api.llama_tokenize(self.vocabulary, data, len(data), room, len(room), True, True)
        return list(room[:n])

    def close(self):
        self.api.llama_free(self.context)
        self.api.llama_model_free(self.model)


def opened(folder):
    """A model of transformers, of which no tensor is missing or left over."""
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    for what in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        if info[what]:
            raise ValueError(f"{what}: {sorted(map(str, info[what]))[:3]}")
    return model


def of_transformers(folder, ids):
    """Logits of a folder, by transformers alone."""
    return opened(folder)(torch.tensor(ids)[None]).logits[0].numpy()


def gguf_of(folder):
    (file,) = pathlib.Path(folder).glob("*.gguf")
    return file


def of_llama_cpp(folder, ids):
    model = LlamaCpp(gguf_of(folder), max(32, len(ids)))
    logits = model.logits(ids)
    model.close()
    return logits


def apart(entry):
    """The largest difference of a model's logits from those that it should have, or of its weights from those
    of its twin."""
    if "twin" in entry:
        own, twin = opened(entry["folder"]).state_dict(), opened(entry["twin"]).state_dict()
        if own.keys() != twin.keys():
            raise ValueError("the twin has other tensors")
        return max(float((own[name] - twin[name]).abs().max()) for name in own)
    expected = load_file(entry["expected"])
    ids, logits = expected.get("ids", np.array(entry.get("ids"))), expected["logits"]
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
    """Whether llama.cpp's perplexity of a text is ours, and its ids those of the tokenizer.json."""
    failed = []
    for text in texts:
        window, name = text["window"], text["name"]
        model = LlamaCpp(text["file"], window)
        whole = pathlib.Path(text["text"]).read_text()
        ids = Tokenizer.from_file(text["tokenizer"]).encode(whole).ids
        same = model.tokenize(whole) == ids
        total, targets = 0.0, 0
        for start in (0, window):
            of_window = np.array(ids[start : start + window])
            total += nll(model.logits(of_window), of_window)
            targets += window - 1
        model.close()
        theirs = math.exp(total / targets)
        ratio = theirs / text["ours"] - 1
        print(
            f"{name}, {text['form']}: perplexity {theirs:.4f} in llama.cpp, {text['ours']:.4f} here "
            f"({100 * ratio:+.3f} %) over {targets} targets; {len(ids)} ids "
            f"{'the same' if same else 'NOT the same'}"
        )
        if not abs(ratio) <= PERPLEXITY_BOUNDS[text["form"]]:
            failed.append(f"{name}: perplexities are {100 * ratio:.2f} % apart")
        if not same:
            failed.append(f"{name}: llama.cpp cuts the text otherwise")
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
    parser.add_argument("--without-llama-cpp", action="store_true", help="leave GGUF files out")
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    failed = []
    for path in args.manifests:
        manifest = json.loads(path.read_text())
        entries, texts = manifest.get("entries", []), manifest.get("perplexities", [])
        if args.without_llama_cpp:
            entries = [entry for entry in entries if not entry["form"].startswith("gguf")]
            texts = []
        failed += check_packed_sizes(entries)
        failed += check_logits(entries)
        failed += check_perplexities(texts)
        for refused in manifest.get("refused", []):
            print(f"refused: {refused}")
    for problem in failed:
        print(f"FAILED: {problem}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
