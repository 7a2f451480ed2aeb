"""Makes choices.json: pairs of context and continuation as ids, by lm-evaluation-harness 0.4.13 itself.

    pip install -r ../../../../../bench/peer/requirements-harness.txt
    python make.py

The harness's model class (HFLM) runs with a tiny random model, so that its own `loglikelihood`,
`_encode_pair` and `_loglikelihood_tokens` decide; what they hand on is written down. The tokenizers
are those of the folder above, laid out as its expected.json has them. All texts are made up.
"""

import json
import logging
import os
import pathlib
import shutil
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import lm_eval
import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model

HERE = pathlib.Path(__file__).resolve().parent


def fast(**tokens):
    """tokenizer_config.json of a tokenizer.json that is taken as it stands."""
    return {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **tokens}}


def config(model_type):
    return {"config.json": {"model_type": model_type}}


LLAMA = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_bos_token": True}
LLAMA |= {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
GEMMA = {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True}
GEMMA |= {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
QWEN = {"tokenizer_class": "Qwen2Tokenizer"}
QWEN |= {name: "<|end|>" for name in ("eos_token", "pad_token", "unk_token")}

# Name, files of the folder above, what lies beside them, the prefix token's text.
TOKENIZERS = [
    # Byte-level BPE without a beginning, as GPT-2: EOS stands in front of what has no context.
    ("plain", {"tokenizer.json": "tokenizer.json"}, config("llama") | fast(eos_token="<|end|>"), "<|end|>"),
    # A token in front of every text, as OPT's </s>.
    (
        "begun",
        {"tokenizer.json": "digits.json"},
        config("llama") | fast(bos_token="<|end|>", eos_token="<|end|>"),
        "<|end|>",
    ),
    # Byte-level BPE that composes characters first.
    (
        "qwen2",
        {"vocab.json": "vocab.json", "merges.txt": "merges.txt"},
        config("qwen2") | {"tokenizer_config.json": QWEN},
        "<|end|>",
    ),
    # SentencePiece with byte pieces: with a space in front of every text, and without.
    ("llama", {"tokenizer.model": "llama.model"}, config("llama") | {"tokenizer_config.json": LLAMA}, "<s>"),
    (
        "gemma",
        {"tokenizer.model": "gemma.model"},
        config("gemma3_text") | {"tokenizer_config.json": GEMMA},
        "<bos>",
    ),
]

BREAD = "Question: How do you keep bread fresh?\nAnswer:"
RAIN = "Rain -- Rain is water that falls from clouds.\nQuestion: is rain made of water?\nAnswer:"
NUMBERS = "The following are multiple choice questions (with answers) about numbers.\n\n"
NUMBERS += "What is 2 + 2?\nA. 3\nB. 4\nC. 5\nD. 22\nAnswer:"

# {first} is the text of the prefix token.
PAIRS = [
    # As the tasks have them.
    (BREAD, " Wrap it in a cloth and put it on the table."),
    (BREAD, " Leave it out in the rain, and wait until 1984."),
    ("Baking bread: A woman kneads the dough. She", " puts it into the oven."),
    ("Baking bread: A woman kneads the dough. She", "  then lets it rest."),
    ("The bread burned because", "  the oven was too hot."),
    ("Anna gave Ruth a pen since Anna", " had two of them."),
    ("The kettle was louder than the radio, said Tom", " , and he turned it off."),
    (RAIN, " no"),
    (RAIN, " yes"),
    (NUMBERS, " B"),
    # White space at the end of the context goes to the continuation; a zero-width space is none.
    ("The cat sat on the ", "mat."),
    ("The cat sat on the  ", " mat."),
    ("What is the answer?\n", "Nothing."),
    ("What is the answer? \n\n", " Nothing."),
    ("one two\t", "three"),
    ("one two\u00a0", "three"),
    ("one two\u2003\u3000\u2028", "three"),
    ("one two\x1c\x1f\x85", "three"),
    ("one two\u200b", "three"),
    # A token that spans the join.
    ("the ca", "t sat on the mat"),
    ("He walk", "ed home."),
    ("12", "345 of them"),
    ("one two\n", "\n three"),
    ("Add", "   2 eggs"),
    ("one line\n", " 2 eggs"),
    ("cafe", "\u0301 noir"),
    # Nothing is left of the continuation.
    ("th", "e"),
    ("I", "t"),
    # Other scripts, and what has no piece of its own.
    ("Le caf\u00e9 na\u00eff est", " ferm\u00e9, \u201cdit-on\u201d."),
    ("\u4e2d\u6587\u306e\u7b54\u3048\u306f", "\u56db\u3067\u3059\u3002"),
    ("She smiled \U0001f600", " \U0001f44d\U0001f3fd and left."),
    ("\u0434\u043e\u043c", " \u0445\u043e\u0440\u043e\u0448"),
    # No context, or one of white space alone.
    ("", "The cat sat."),
    ("", " the cat sat"),
    ("", "\U0001f600"),
    ("", "{first}the cat sat"),
    (" ", "the cat sat"),
    ("\n", " the cat sat"),
    # The prefix token's text stands in front already, or elsewhere.
    ("{first}The cat", " sat."),
    ("{first} ", "The cat sat."),
    (" {first}The cat", " sat."),
    ("The cat", "{first} sat."),
    # Further.
    (" a leading space", " is kept."),
    ("Q: Who?", "\nA: We."),
    ("one<|sep|>", "two <|sep|> three"),
]


class Watched(get_model("hf")):
    """HFLM that keeps what it works out on the way."""

    def _loglikelihood_tokens(self, requests, **named):
        ((_, self.context, self.continuation),) = requests
        return super()._loglikelihood_tokens(requests, **named)

    def _model_call(self, inps, **named):
        (self.read,) = inps.tolist()
        return super()._model_call(inps, **named)

    def _select_cont_toks(self, logits, contlen=None, inplen=None):
        numbers = torch.arange(len(logits))[:, None]
        self.rows = super()._select_cont_toks(numbers, contlen, inplen).flatten().tolist()
        return super()._select_cont_toks(logits, contlen, inplen)


def harness(folder, max_length):
    """The harness's model over the tokenizer of `folder`; its weights do not matter."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tiny = transformers.LlamaConfig(
        vocab_size=len(tokenizer) + 1,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=512,
    )
    model = transformers.LlamaForCausalLM(tiny)
    return Watched(pretrained=model, tokenizer=str(folder), max_length=max_length, batch_size=1)


def ask(lm, context, continuation):
    """One pair: the ids of both, what the model reads, and the first and last row that is scored."""
    lm.context = lm.continuation = None
    case = {"context": context, "continuation": continuation}
    if lm._max_length:
        case["max_length"] = lm._max_length
    request = Instance("loglikelihood", doc={}, arguments=(context, continuation), idx=0)
    try:
        lm.loglikelihood([request], disable_tqdm=True)
    except AssertionError:
        return {**case, "context_ids": lm.context, "continuation_ids": lm.continuation, "refused": True}
    assert lm.rows == list(range(lm.rows[0], lm.rows[-1] + 1))
    case |= {"context_ids": lm.context, "continuation_ids": lm.continuation}
    return case | {"read": lm.read, "rows": [lm.rows[0], lm.rows[-1] + 1]}


def cases(name, vocabulary, beside, first):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        for file, source in vocabulary.items():
            shutil.copy(HERE.parent / source, path / file)
        for file, content in beside.items():
            (path / file).write_text(json.dumps(content), encoding="utf-8")
        lm = harness(path, None)
        pairs = [[text.replace("{first}", first) for text in pair] for pair in PAIRS]
        done = [ask(lm, *pair) for pair in pairs]
        # As long as may be, one longer, one id of the context left, and a continuation too long.
        whole = len(done[0]["context_ids"] + done[0]["continuation_ids"])
        target = len(done[0]["continuation_ids"])
        short = [harness(path, length) for length in (whole - 1, whole - 2, target, target - 1)]
        done += [ask(lm, *pairs[0]) for lm in short]
        about = {"name": name, "vocabulary": vocabulary, "beside": beside}
        about |= {"class": type(lm.tokenizer).__name__, "prefix": lm.prefix_token_id}
        assert lm.tokenizer.decode(lm.prefix_token_id) == first
        return about, done


def main():
    print(f"lm_eval {lm_eval.__version__}, transformers {transformers.__version__}")
    parts = []
    for given in TOKENIZERS:
        about, done = cases(*given)
        head = json.dumps(about, ensure_ascii=False)[:-1]
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in done)
        parts.append(f'{head}, "pairs": [\n{lines}\n]}}')
        refused = sum("refused" in case for case in done)
        print(f"{about['name']} ({about['class']}): {len(done)} pairs, {refused} of them refused")
    text = "[\n" + ",\n".join(parts) + "\n]\n"
    (HERE / "choices.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()
    main()
