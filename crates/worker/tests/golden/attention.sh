#!/usr/bin/env bash
# Writes attention.json: losses of SmolLM2 on WikiText-2 test, ppl-512, first four windows, with heads and
# cache skipped by bench/peer/attention.py. MODEL is the folder that bench/peer/to_hf.py writes.
#
#     attention.sh MODEL WIKI.TEST.RAW
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peer=$here/../../../../bench/peer
for step in "" \
    mode=read,score=attention,sparsity=0.5 mode=read,score=attention,sparsity=0.9 \
    mode=read,score=attention-value,sparsity=0.9 mode=read,score=key-size-reversed,sparsity=0.5 \
    mode=read,score=recency,sinks=4,sparsity=0.5 \
    mode=write,score=accumulated,sparsity=0.5 mode=write,score=accumulated,sparsity=0.9 \
    mode=write,score=recency,sinks=4,sparsity=0.9 mode=write,score=key-size-reversed,sparsity=0.5 \
    score=magnitude,sparsity=0.5 score=impact,sparsity=0.5; do
    python "$peer/attention.py" --model "$1" --dataset "$2" --step "$step" --windows 4
done > "$here/attention.json"
