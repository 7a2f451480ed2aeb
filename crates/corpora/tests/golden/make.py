"""Makes the tokenizers of this folder and expected.json: what transformers and sentencepiece make of them.

    pip install -r ../../../models/tests/golden/requirements.txt
    python make.py

Four small vocabularies are trained here: byte-level BPE (vocab.json, merges.txt, tokenizer.json) and three
of SentencePiece (BPE as Llama's, BPE as Gemma's, unigram with a character map). A case is a folder: a
vocabulary in one of its forms, and any of config.json, tokenizer_config.json, added_tokens.json and
special_tokens_map.json; its ids are those of AutoTokenizer. Where the project does otherwise on purpose, the
case says so in `agreed` and has the ids of whoever is followed; README.md lists these cases.
"""

import itertools
import json
import os
import pathlib
import shutil
import tempfile
import warnings

import sentencepiece
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer
from transformers.utils import logging

HERE = pathlib.Path(__file__).parent
TEXT = HERE / "../../../evaluation/tests/golden/text.raw"
STORIES = HERE / "../../../../data/stories/narrative.calibration.jsonl"
MORE = [
    "In 1984, 12345 people paid $3.50 (or 7%) each; it's what they'd said: \u201cwe'll see\u201d.",
    "  two  spaces\tand a tab, caf\u00e9 and na\u00efve, \u00bd \ufb01sh.",
    "camelCase and ALLCAPS and x == y + 10;",
]

TEXTS = [
    "",
    "the cat sat",
    " a leading space",
    "two  spaces, three   spaces ",
    "In 1984 it's 12345.\n\nNew line",
    "caf\u00e9 na\u00efve \ufb01sh \u4e2d\u6587 \U0001f600",
    "\u201cwe'll see\u201d\t(x == y)",
]
# Texts that hold special or added tokens.
SPECIAL = [
    "one<|sep|>two <|sep|> three",
    "<|end|>begin and<|end|> end",
    "<s>one</s> two <unk> <pad>",
    "<|endoftext|>x<bos>y<eos>",
]


def corpus():
    stories = [json.loads(line)["text"] for line in STORIES.read_text(encoding="utf-8").splitlines()[:40]]
    stories = [sentence + "." for story in stories for sentence in story.split(".")]
    lines = TEXT.read_text(encoding="utf-8").splitlines() + stories + MORE * 20
    return [line for line in lines if line.strip()]


def byte_level():
    """Byte-level BPE with <|end|>; 12 digits in a row are one piece unless they are cut before."""
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        special_tokens=["<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    bpe.train_from_iterator(corpus(), trainer)
    bpe.decoder = decoders.ByteLevel()
    bpe.save(str(HERE / "tokenizer.json"))
    model = json.loads((HERE / "tokenizer.json").read_text())["model"]
    # A tokenizer.json with a beginning, another pre-tokenizer and nothing added.
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.post_processor = processors.TemplateProcessing(
        single="<|end|> $A", special_tokens=[("<|end|>", bpe.token_to_id("<|end|>"))]
    )
    bpe.save(str(HERE / "digits.json"))
    dump("vocab.json", model["vocab"])
    merges = [" ".join(rule) for rule in model["merges"]]
    (HERE / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")


def train(name, **options):
    os.chdir(HERE)
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(corpus()),
        # The file keeps this text: a name, and no path of the machine that made it.
        model_prefix=name,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    (HERE / f"{name}.vocab").unlink()


def sentencepieces():
    common = dict(character_coverage=0.999, split_digits=True, allow_whitespace_only_pieces=True)
    train(
        "llama",
        model_type="bpe",
        vocab_size=600,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        **common,
    )
    train(
        "gemma",
        model_type="bpe",
        vocab_size=640,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        bos_piece="<bos>",
        eos_piece="<eos>",
        user_defined_symbols=["<mask>", "<|sep|>", "\n", "\n\n", "\u2581\u2581", "\u2581\u2581\u2581"],
        **common,
    )
    # A few rules in place of nmt_nfkc, whose map alone has 240 kB: compositions, a tab, and nothing.
    rules = [("\ufb01", "fi"), ("\u00bd", "1\u20442"), ("\t", " "), ("\n", " "), ("\u201c", '"'), ("\u201d", '"')]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rules.tsv"
        code = lambda text: " ".join(f"{ord(char):X}" for char in text)
        path.write_text("".join(f"{code(old)}\t{code(new)}\n" for old, new in rules))
        train(
            "unigram",
            model_type="unigram",
            vocab_size=300,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(path),
            user_defined_symbols=["<|sep|>"],
            character_coverage=0.999,
        )


def dump(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def folder_of(path, case):
    for name, source in case["vocabulary"].items():
        shutil.copy(HERE / source, path / name)
    for name, content in case["beside"].items():
        (path / name).write_text(json.dumps(content), encoding="utf-8")


def ids_of_transformers(case):
    with tempfile.TemporaryDirectory() as folder:
        folder_of(pathlib.Path(folder), case)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return type(tokenizer).__name__, [tokenizer(text)["input_ids"] for text in TEXTS + SPECIAL]


FORMS = {
    "whole": {"tokenizer.json": "tokenizer.json"},
    "parts": {"vocab.json": "vocab.json", "merges.txt": "merges.txt"},
    "llama": {"tokenizer.model": "llama.model"},
    "gemma": {"tokenizer.model": "gemma.model"},
}


def token(content, **flags):
    return {"__type": "AddedToken", "content": content, **flags}


def settings(form, size):
    """Values of tokenizer_config.json, special_tokens_map.json and added_tokens.json; none is no file."""
    classes = {
        "whole": ["GPT2Tokenizer", "PreTrainedTokenizerFast"],
        "parts": ["GPT2Tokenizer"],
        "llama": ["LlamaTokenizer"],
        "gemma": ["GemmaTokenizer"],
    }
    bos = {"whole": "<|end|>", "parts": "<|end|>", "llama": "<s>", "gemma": "<bos>"}[form]
    configs = [None]
    for name in classes[form]:
        configs.append({"tokenizer_class": name, "bos_token": bos, "add_bos_token": True})
    # Beside a list of its own transformers forgets what tokenizer.model holds of such tokens.
    extra = {"additional_special_tokens": ["<|sep|>"]} if form in ("whole", "parts") else {}
    configs.append(
        {
            **extra,
            "tokenizer_class": classes[form][0],
            "bos_token": token(bos, lstrip=False, normalized=False),
            "eos_token": bos,
            "pad_token": None,
            "add_bos_token": True,
            "add_eos_token": True,
            "added_tokens_decoder": {
                str(size): {"content": "begin", "lstrip": True, "normalized": False, "special": False}
            },
        }
    )
    maps = [None, {"bos_token": bos, "unk_token": {"content": bos, "lstrip": False, "rstrip": True}}]
    added = [None, {"<|sep|>": size, "New": size + 1}]
    return itertools.product(configs, maps, added)


def cases():
    sizes = {
        "whole": len(json.loads((HERE / "vocab.json").read_text())),
        "llama": sentencepiece.SentencePieceProcessor(str(HERE / "llama.model")).GetPieceSize(),
        "gemma": sentencepiece.SentencePieceProcessor(str(HERE / "gemma.model")).GetPieceSize(),
    }
    sizes["parts"] = sizes["whole"]
    types = {"whole": "opt", "parts": "opt", "llama": "llama", "gemma": "gemma3_text"}
    for form, vocabulary in FORMS.items():
        for config, special, added in settings(form, sizes[form]):
            if form == "gemma" and added is not None:
                # <|sep|> is a piece there.
                added = {"New": sizes[form]}
            # Without a class Llama's folder is read by the class of none.
            beside = {"config.json": {"model_type": types[form]}}
            for name, content in [
                ("tokenizer_config.json", config),
                ("special_tokens_map.json", special),
                ("added_tokens.json", added),
            ]:
                if content is not None:
                    beside[name] = content
            yield {"form": form, "vocabulary": vocabulary, "beside": beside}
    for model_type in ["qwen2", "mamba2"]:
        beside = {"config.json": {"model_type": model_type}}
        yield {"form": "parts", "vocabulary": FORMS["parts"], "beside": beside}
        more = {"add_prefix_space": True, "extra_special_tokens": ["<|sep|>"], "unk_token": "<unk>"}
        config = {"tokenizer_config.json": {**more, "add_bos_token": True}}
        yield {"form": "parts", "vocabulary": FORMS["parts"], "beside": {**beside, **config}}
    for config in [{"legacy": True, "tokenizer_class": "LlamaTokenizer"}, {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False}]:
        beside = {"config.json": {"model_type": "llama"}, "tokenizer_config.json": config}
        yield {"form": "llama", "vocabulary": FORMS["llama"], "beside": beside}
    smollm = {"config.json": {"model_type": "llama"}, "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"}}
    yield {"form": "digits", "vocabulary": {"tokenizer.json": "digits.json"}, "beside": smollm}
    generic = {"config.json": {"model_type": "mistral"}, "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}}
    yield {"form": "llama", "vocabulary": FORMS["llama"], "beside": generic}
    generic = {"config.json": {"model_type": "llama"}, "tokenizer_config.json": {"add_bos_token": True}}
    yield {"form": "unigram", "vocabulary": {"tokenizer.model": "unigram.model"}, "beside": generic}


def by_sentencepiece(case, texts):
    """Ids of sentencepiece itself, with the beginning that the settings ask for."""
    name = next(iter(case["vocabulary"].values()))
    processor = sentencepiece.SentencePieceProcessor(str(HERE / name))
    bos = case["beside"].get("tokenizer_config.json", {}).get("add_bos_token", False)
    return [[processor.bos_id()] * bos + processor.Encode(text) for text in texts]


def golden():
    done = []
    for case in cases():
        case["class"], ids = ids_of_transformers(case)
        texts = TEXTS + SPECIAL
        if case["form"] == "digits":
            case["agreed"] = "tokenizer.json says how a text is cut, not the class"
            file = tokenizers.Tokenizer.from_file(str(HERE / "digits.json"))
            texts, theirs = TEXTS, ids[: len(TEXTS)]
            ids = [file.encode(text).ids for text in texts]
            assert ids != theirs
        elif case["form"] in ("llama", "unigram") and case["class"] == "TokenizersBackend":
            case["agreed"] = "tokenizer.model says what is normalised and put in front, not the class"
            # sentencepiece knows of no added tokens.
            texts = [text for text in TEXTS if "New" not in text]
            theirs, ids = [ids[TEXTS.index(text)] for text in texts], by_sentencepiece(case, texts)
            assert ids != theirs
        elif case["class"] == "LlamaTokenizer" and "legacy" not in str(case) and "add_prefix" not in str(case):
            # Behind a space transformers puts none in front; sentencepiece, and Llama's tokenizer.json, do.
            at = TEXTS.index(" a leading space")
            eos = case["beside"].get("tokenizer_config.json", {}).get("add_eos_token", False)
            theirs, ids[at] = ids[at], by_sentencepiece(case, texts[at : at + 1])[0] + [1] * eos
            case["agreed"] = "tokenizer.model says that a space goes in front of every text"
            assert ids[at] != theirs
        case["texts"], case["ids"] = texts, ids
        done.append(case)
    return done


def gguf():
    """Vocabularies as a GGUF file has them, against transformers' reading and sentencepiece."""
    done = []
    vocab = json.loads((HERE / "vocab.json").read_text())
    tokens = sorted(vocab, key=vocab.get)
    rules = (HERE / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    kinds = [3 if token == "<|end|>" else 1 for token in tokens]
    for pre in ["gpt-2", "qwen2", "llama-bpe", "tekken"]:
        given = {"tokenizer_type": "gpt2", "pre_tokenizer_type": pre, "tokens": tokens, "merges": rules, "token_type": kinds}
        backend, _ = convert_gguf_tokenizer("llama", given)
        ids = [backend.encode(text, add_special_tokens=False).ids for text in TEXTS]
        done.append({"model": "gpt2", "pre": pre, "texts": TEXTS, "ids": ids})
    file = tokenizers.Tokenizer.from_file(str(HERE / "digits.json"))
    ids = [file.encode(text, add_special_tokens=False).ids for text in TEXTS]
    done.append({"model": "gpt2", "pre": "smollm", "texts": TEXTS, "ids": ids})
    for name in ["llama", "gemma", "unigram"]:
        processor = sentencepiece.SentencePieceProcessor(str(HERE / f"{name}.model"))
        size = range(processor.GetPieceSize())
        kind = lambda i: 2 if processor.IsUnknown(i) else 3 if processor.IsControl(i) else 6 if processor.IsByte(i) else 1
        user = {"<mask>", "<|sep|>", "\n", "\n\n", "\u2581\u2581", "\u2581\u2581\u2581"} if name == "gemma" else {"<|sep|>"}
        pieces = [processor.IdToPiece(i) for i in size]
        kinds = [4 if piece in user and name != "llama" else kind(i) for i, piece in zip(size, pieces)]
        # As llama.cpp's converter writes them.
        tokens = [p.replace("\u2581", " ") if k == 4 else p for p, k in zip(pieces, kinds)]
        scores = [processor.GetScore(i) for i in size]
        case = {"model": "t5" if name == "unigram" else "llama", "tokens": tokens, "scores": scores, "kinds": kinds}
        case["prefix"], case["tidy"] = name != "gemma", name == "unigram"
        case["unknown"] = processor.unk_id()
        # The map of characters lies in the model file, not here.
        texts = [text for text in TEXTS if name != "unigram" or not set(text) & set("\ufb01\u201c\t\n")]
        case["texts"], case["ids"] = texts, [processor.Encode(text) for text in texts]
        done.append(case)
    return done


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    byte_level()
    sentencepieces()
    expected = {"folders": golden(), "gguf": gguf()}
    lines = [json.dumps(case, ensure_ascii=False) for case in expected["folders"]]
    more = [json.dumps(case, ensure_ascii=False) for case in expected["gguf"]]
    text = '{"folders": [\n' + ",\n".join(lines) + '\n],\n"gguf": [\n' + ",\n".join(more) + "\n]}\n"
    (HERE / "expected.json").write_text(text, encoding="utf-8")
    print(len(lines), "folders,", len(more), "of GGUF")
