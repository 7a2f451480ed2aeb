"""Makes harness.json: what lm-evaluation-harness itself gets on unusual last-word texts.

    pip install -r ../../../models/tests/golden/requirements.txt lm_eval==0.4.13
    python harness.py

Every text goes through `HFLM.loglikelihood` with the context and the target of the task `lambada_openai`
(version 1), in float32 on the CPU. What the harness makes of it (ids in front of the target, ids of the
target) is taken on its way to the model and cut as the harness cuts it. Its cache of logits is off: it takes
two texts of the same ids but for the last, cut into context and target at different places, for one request
and scores both with the number of targets of one, so that an item's score hangs on its neighbours.

Models: the committed `qwen2-silu` with its tokenizer as transformers finds it; the golden `opt`, whose
tokenizer puts `</s>` in front; the golden `llama` with a tokenizer in which a token spans the join of context
and target.
"""

import json
import pathlib
import tempfile

import lm_eval
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]
GOLDEN = "crates/models/tests/golden"
SENTENCE = "The keeper opened the door of the mill and then said only"
STORY = "Viktor stood in the valley with a rope. Emil stood in the meadow with a feather."


class Watched(HFLM):
    """Keeps what the harness makes of each text."""

    def _loglikelihood_tokens(self, requests, *args, **kwargs):
        self.watched = requests
        return super()._loglikelihood_tokens(requests, *args, **kwargs)


def texts(sentence, positions):
    ends = [" ran", "  ran", "\n ran", "\n\n  ran", "\t ran", "\r\n ran", "\u00a0 ran", " \u00a0 ran",
            "\u2003\u3000 ran", "\x1c ran", "\x85 ran", "\u200b ran", "\nran", " ran\n", " r\u00e4n", " ran ran."]
    yield from (sentence + end for end in ends)
    # About the number of positions, by words and by letters, and a target that is nearly as long.
    for repeats in [positions // 12, positions // 6, positions // 2]:
        yield " ".join([sentence] * repeats) + " ran"
    yield from ((sentence + " " + "mill " * positions)[-n:] + "ran" for n in range(positions, 6 * positions, 41))
    yield sentence + " " + "a" * (positions - 1)


def spanning(folder):
    """The golden llama's tokenizer, without pieces, and with a token of `n` and the space behind it."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = tokenizer["model"]
    tokenizer["pre_tokenizer"]["use_regex"] = False
    last = max(model["vocab"], key=model["vocab"].get)
    model["vocab"]["n\u0120"] = model["vocab"].pop(last)
    model["merges"] = [["n", "\u0120"]] + [pair for pair in model["merges"] if "".join(pair) != last]
    return json.dumps(tokenizer)


def subject(name, texts, tokenizer=None, **settings):
    folder = ROOT / name
    if tokenizer is not None:
        with tempfile.TemporaryDirectory() as scratch:
            file = pathlib.Path(scratch) / "tokenizer.json"
            file.write_text(tokenizer, encoding="utf-8")
            settings["tokenizer"] = PreTrainedTokenizerFast(tokenizer_file=str(file), **settings.pop("special", {}))
    harness = Watched(pretrained=str(folder), dtype="float32", device="cpu", batch_size=1, logits_cache=False, **settings)
    pairs = [(" ".join(text.split(" ")[:-1]), " " + text.split(" ")[-1]) for text in texts]
    requests = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
    answers = harness.loglikelihood(requests, disable_tqdm=True)
    items, joined = [], 0
    for text, (_, context, target), (logprob, greedy) in zip(texts, harness.watched, answers):
        whole = harness.tok_encode(text)
        joined += whole[: len(context)] != context
        ids = (context + target)[-(harness.max_length + 1) :]
        items.append(dict(text=text, ids=ids, n_targets=len(target), logprob_nats=logprob, correct=bool(greedy)))
    cut = sum(len(item["ids"]) == harness.max_length + 1 for item in items)
    print(f"{name}: {len(items)} texts, {cut} cut or just fitting, {joined} with a token over the join")
    return dict(model=name, tokenizer=tokenizer, items=items)


def main():
    transformers.utils.logging.disable_progress_bar()
    opt, llama = ROOT / GOLDEN / "opt", ROOT / GOLDEN / "llama"
    of_opt = [*texts(SENTENCE, 64), "</s>" + SENTENCE + " ran", "</s> ran", "ran", " ran", "  ran"]
    of_llama = [*texts(SENTENCE, 64), "He saw the man ran", "He saw the man\n ran", "in an  ran"]
    subjects = [
        subject("data/models/qwen2-silu", [*texts(STORY, 256), "<|endoftext|>" + STORY + " Viktor"]),
        subject(f"{GOLDEN}/opt", of_opt, (opt / "tokenizer.json").read_text(encoding="utf-8"),
                special=dict(bos_token="</s>")),
        subject(f"{GOLDEN}/llama", of_llama, spanning(llama), prefix_token_id=0),
    ]
    for made in subjects:
        # A tokenizer of the folder itself is not written down again.
        made["tokenizer"] = made["tokenizer"] if made["model"].endswith("llama") else None
    versions = dict(lm_eval=lm_eval.__version__, transformers=transformers.__version__)
    lines = [json.dumps(dict(made_by="harness.py", versions=versions), ensure_ascii=True)[:-1] + ',"subjects":[']
    for number, made in enumerate(subjects):
        items = made.pop("items")
        lines.append(json.dumps(made)[:-1] + ',"items":[')
        lines.append(",\n".join(json.dumps(item, separators=(",", ":")) for item in items))
        lines.append("]}" + ("," if number + 1 < len(subjects) else ""))
    path = HERE / "harness.json"
    path.write_text("\n".join([*lines, "]}"]) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
