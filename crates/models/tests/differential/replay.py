"""replay.json: a compact choice of the mutants with transformers' answers, for the Rust test that needs no
Python (../differential.rs)."""

import collections
import json
import math

import mutants
from mutant import LENGTH

ROWS = [12, 1]  # from the end
COLUMNS = 6
# Of one folder, the same fields and the same kind of answer, so many.
MOST = {"refused": 2, "unchanged": 1, "changed": 3}
# What the Rust test can make of a file.
WEIGHTS = ["", "same-head", "other-head", "no-head"]


def numbers(logits):
    """Logits that are compared, with seven digits."""
    width = logits.shape[1]
    chosen = [float(logits[-row, column * width // COLUMNS]) for row in ROWS for column in range(COLUMNS)]
    return [float(f"{value:.7g}") for value in chosen]


def quoted(value):
    """Infinity under a name, for JSON has none."""
    if isinstance(value, float) and math.isinf(value):
        return "@Infinity"
    if isinstance(value, dict):
        return {key: quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [quoted(inner) for inner in value]
    return value


def compact(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def of_folder(folder, config, findings):
    """The entry of one golden folder; `findings` are those on which both sides agree, or where Slim refuses
    by agreement."""
    plain = (mutants.GOLDEN / folder / "model.safetensors").is_file()
    answers, places, chosen = [], {}, []
    seen = collections.Counter()
    for finding in findings:
        mutant = finding.mutant
        if mutant.weights not in (WEIGHTS if plain else [""]):
            continue
        entry = {"set": quoted(mutant.set)} if mutant.set else {}
        entry |= {"drop": mutant.drop} if mutant.drop else {}
        entry |= {"weights": mutant.weights} if mutant.weights else {}
        entry |= {"length": mutant.length} if mutant.length != LENGTH else {}
        if finding.ours.runs():
            given = numbers(finding.theirs.logits)
            number = places.setdefault(compact(given), len(places))
            if number == len(answers):
                answers.append(given)
            kind = "unchanged" if number == 0 else "changed"
        else:
            number, kind = None, "refused"
        group = (*sorted(mutant.fields()), mutant.weights, kind)
        seen[group] += 1
        if seen[group] <= MOST[kind]:
            chosen.append(entry | {"answer": number})
    used = sorted({entry["answer"] for entry in chosen} - {None})
    renumbered = {old: new for new, old in enumerate(used)} | {None: None}
    lines = [compact(entry | {"answer": renumbered[entry["answer"]]}) for entry in chosen]
    head = f'{{"folder":"{folder}","vocabulary":{config["vocab_size"]},"answers":[\n'
    head += ",\n".join(compact(answers[old]) for old in used)
    return head + '\n],"mutants":[\n' + ",\n".join(lines) + "\n]}"


def write(path, by_folder):
    """`by_folder`: `{folder: (config, findings)}`."""
    entries = [of_folder(folder, *rest) for folder, rest in by_folder.items()]
    path.write_text("[" + ",\n".join(entries) + "]\n")
