"""Logits of the committed small models by transformers, on passages of the last-word task.

    pip install -r ../golden/requirements.txt
    python make.py

The folders of data/models are opened as anyone would open them: AutoTokenizer, AutoModelForCausalLM.
"""

import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[3] / "data"
PASSAGES = 2
LAST = 6  # rows of logits that are kept of each passage

transformers.utils.logging.disable_progress_bar()
torch.set_grad_enabled(False)
texts = [json.loads(line)["text"] for line in open(DATA / "stories" / "last-word.test.jsonl")][:PASSAGES]
for folder in sorted(path for path in (DATA / "models").iterdir() if path.is_dir()):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    expected = {}
    for number, text in enumerate(texts):
        ids = tokenizer(text, return_tensors="pt").input_ids
        expected[f"ids.{number}"] = ids[0]
        expected[f"logits.{number}"] = model(ids).logits[0, -LAST:].contiguous()
    save_file(expected, HERE / f"{folder.name}.safetensors")
    right = [int(e[-2].argmax()) == int(i[-1]) for i, e in
             ((expected[f"ids.{n}"], expected[f"logits.{n}"]) for n in range(PASSAGES))]
    print(folder.name, type(model).__name__, sum(p.numel() for p in model.parameters()), right)
