"""Compares what Slim and transformers make of mutated configs; see README.md.

    python differential.py --newer DIR [--folders REGEX] [--ours PROGRAM]
"""

import argparse
import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
import time
import tomllib

import numpy

import mutants
import replay
import weights
from mutant import LENGTH, Mutant

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]
WORK = ROOT / "target/differential"

# Two orders of f32 sums: absolute, for logits of size 15, and for larger ones relative.
ABSOLUTE, RELATIVE = 1e-4, 1e-5

SAME, BOTH_REFUSE = "same", "both refuse"
WE_REFUSE, IT_REFUSES, DIFFER, PANIC = "we refuse", "it refuses", "differ", "panic"


@dataclasses.dataclass
class Answer:
    """What one side says of a mutant."""

    logits: numpy.ndarray | None = None
    parameters: int | None = None
    refusal: str | None = None
    warning: str | None = None
    panicked: bool = False

    def runs(self):
        """Non-finite logits are a refusal: nobody takes them for a result."""
        return self.parameters is not None or (self.logits is not None and self.finite())

    def finite(self):
        return bool(numpy.isfinite(self.logits).all())

    def text(self):
        if self.refusal is not None:
            return self.refusal
        if self.parameters is not None:
            return f"{self.parameters} parameters"
        return (f"warned, {self.warning}; " if self.warning else "") + (
            "runs" if self.finite() else "not finite"
        )


class Side:
    """A process that answers requests one by one."""

    def __init__(self, command, environment=None):
        environment = os.environ | (environment or {}) | {"PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        answer = Answer()
        while True:
            line = self.process.stdout.readline().decode(errors="replace").rstrip("\n")
            kind, _, rest = line.partition(" ")
            if kind == "warned":
                answer.warning = rest
                continue
            if kind == "logits":
                rows, vocabulary = map(int, rest.split())
                data = self.process.stdout.read(4 * rows * vocabulary)
                answer.logits = numpy.frombuffer(data, "<f4").reshape(rows, vocabulary)
            elif kind == "parameters":
                answer.parameters = int(rest)
            elif kind in ("refused", "panicked"):
                answer.refusal, answer.panicked = rest, kind == "panicked"
            else:
                raise SystemExit(f"{self.process.args[0]} ended at {request['config']}")
            return answer

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Reference:
    """transformers, with its answers kept from run to run: they hang on neither Slim nor the table."""

    def __init__(self, newer):
        self.newer, self.sides = newer, {}

    def side(self, config):
        """Zamba2 clips time steps on every path since 5.24."""
        newer = self.newer if "Zamba2ForCausalLM" in (config.get("architectures") or []) else None
        if newer not in self.sides:
            environment = {"PYTHONPATH": str(newer)} if newer else {}
            self.sides[newer] = Side([sys.executable, HERE / "reference.py"], environment)
        return self.sides[newer]

    def answers(self, name, config, tensors, requests):
        """The answers to all requests, in their order; `tensors` is the digest of the weights."""
        path = WORK / "reference" / f"{name.replace('/', '-')}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        known = pickle.loads(path.read_bytes()) if path.is_file() else {}
        stamp = hashlib.sha256((HERE / "reference.py").read_bytes()).hexdigest()
        found, asked = [], 0
        for request, key in requests:
            key = f"{stamp} {tensors} {key}"
            if key not in known:
                known[key] = self.side(config).ask(request())
                asked += 1
                if asked % 500 == 0:
                    print(f"{name}: {asked} answers of the reference", file=sys.stderr, flush=True)
            found.append(known[key])
        if asked:
            share(known)
            path.write_bytes(pickle.dumps(known))
        return found

    def end(self):
        for side in self.sides.values():
            side.end()


def share(known):
    """Most mutants change nothing: equal logits are kept once."""
    seen = {}
    for answer in known.values():
        if answer.logits is not None:
            answer.logits = seen.setdefault(answer.logits.tobytes(), answer.logits)


def ids(length, vocabulary):
    return [(i * i + 5 * i + 3) % vocabulary for i in range(length)]


def verdict(theirs, ours):
    """The kind of a pair of answers and how far the logits are apart."""
    if ours.panicked:
        return PANIC, None
    if not theirs.runs() and not ours.runs():
        return BOTH_REFUSE, None
    if theirs.runs() and not ours.runs():
        # What warns of leftovers may be refused.
        return (BOTH_REFUSE if theirs.warning else WE_REFUSE), None
    if not theirs.runs():
        return IT_REFUSES, None
    if ours.parameters is not None:
        return (SAME if ours.parameters == theirs.parameters else DIFFER), None
    if ours.logits.shape != theirs.logits.shape:
        return DIFFER, None
    apart = numpy.abs(ours.logits - theirs.logits)
    allowed = ABSOLUTE + RELATIVE * numpy.abs(theirs.logits)
    return (SAME if (apart <= allowed).all() else DIFFER), float(apart.max())


@dataclasses.dataclass
class Finding:
    mutant: Mutant
    kind: str
    apart: float | None
    theirs: Answer
    ours: Answer
    agreed: int | None = None

    def line(self):
        apart = "" if self.apart is None else f" by {self.apart:.1e}"
        return (
            f"{self.kind}{apart} | {self.mutant.folder} | {self.mutant.name()} | "
            f"ours: {self.ours.text()} | transformers: {self.theirs.text()}"
        )


class Agreed:
    """The table of agreed differences, agreed.toml."""

    def __init__(self):
        text = (HERE / "agreed.toml").read_text()
        self.entries = tomllib.loads(text)["agreed"]
        for entry in self.entries:
            unknown = set(entry) - {"kind", "fields", "folders", "where", "theirs", "ours", "reason"}
            assert not unknown and entry["kind"] in (WE_REFUSE, IT_REFUSES, DIFFER), entry
            assert entry["reason"].strip(), entry
        self.used = collections.Counter()

    def find(self, finding):
        """The first entry that covers a finding."""
        for number, entry in enumerate(self.entries):
            mutant = finding.mutant
            if entry["kind"] != finding.kind:
                continue
            if "fields" in entry and not set(entry["fields"]) & set(mutant.fields()):
                continue
            texts = [("folders", mutant.folder), ("where", mutant.name()),
                     ("theirs", finding.theirs.text()), ("ours", finding.ours.text())]  # fmt: skip
            if all(re.search(entry[key], text) for key, text in texts if key in entry):
                self.used[number] += 1
                return number
        return None

    def stale(self):
        return [entry for number, entry in enumerate(self.entries) if not self.used[number]]


def defaults_of(config):
    """The defaults of the class that a config names, and the other names of its fields."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if "ssm_cfg" in config:
        return {}, {}
    config_class = CONFIG_MAPPING[config["model_type"]]
    made = config_class()
    defaults = {field.name: getattr(made, field.name) for field in dataclasses.fields(config_class)}
    for field in dataclasses.fields(config_class):
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
    # What only a class knows how to write down.
    plain = (bool, int, float, str, list, dict, type(None))
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()}
    return {key: value for key, value in listed.items() if isinstance(value, plain)}, config_class.attribute_map


def golden_findings(reference, ours, pattern):
    for folder, config, found in mutants.golden(defaults_of):
        if not re.search(pattern, folder):
            continue
        started = time.monotonic()
        golden = mutants.GOLDEN / folder
        vocabulary = config["vocab_size"]
        placed = {}

        def place(side, name, golden=golden, placed=placed):
            if (side, name) not in placed:
                placed[side, name] = weights.place(golden, name, WORK / side)
            return str(placed[side, name])

        def request(side, mutant, config=config, vocabulary=vocabulary, place=place):
            return {
                "folder": place(side, mutant.weights),
                "config": mutant.config(config),
                "ids": ids(mutant.length, vocabulary),
                "keep": LENGTH,
            }

        requests = [
            (lambda mutant=mutant: request("theirs", mutant), f"{mutant.name()} {mutant.config(config)}")
            for mutant in found
        ]
        theirs = reference.answers(folder, config, weights.digest(golden), requests)
        for mutant, answer in zip(found, theirs, strict=True):
            answered = ours.ask(request("ours", mutant))
            yield Finding(mutant, *verdict(answer, answered), answer, answered)
        seconds = time.monotonic() - started
        print(f"{folder}: {len(found)} mutants, {seconds:.0f} s", file=sys.stderr, flush=True)


def published_findings(reference, ours, pattern):
    for folder, config, found in mutants.published(defaults_of):
        if not re.search(pattern, folder):
            continue
        places = {side: WORK / side / "shapes" for side in ["theirs", "ours"]}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)

        def request(side, mutant, config=config, places=places):
            return {"folder": str(places[side]), "config": mutant.config(config), "ids": [], "keep": 0}

        requests = [
            (lambda mutant=mutant: request("theirs", mutant), f"{mutant.name()} {mutant.config(config)}")
            for mutant in found
        ]
        theirs = reference.answers(folder, config, "none", requests)
        for mutant, answer in zip(found, theirs, strict=True):
            answered = ours.ask(request("ours", mutant))
            yield Finding(mutant, *verdict(answer, answered), answer, answered)


def program(given):
    if given:
        return given
    build = ["cargo", "build", "--release", "--locked", "-p", "models", "--example", "answers"]
    subprocess.run(build, cwd=ROOT, check=True)
    return ROOT / "target/release/examples/answers"


def summary(findings, agreed, everything):
    """One screen, and whether all is agreed."""
    kinds = collections.Counter(finding.kind for finding in findings)
    print(f"{len(findings)} mutants of {len({f.mutant.folder for f in findings})} configs")
    for kind in [SAME, BOTH_REFUSE, WE_REFUSE, IT_REFUSES, DIFFER, PANIC]:
        listed = sum(f.kind == kind and f.agreed is not None for f in findings)
        print(f"  {kind:12} {kinds[kind]:6}" + (f"  ({listed} agreed)" if listed else ""))
    unlisted = [f for f in findings if f.kind not in (SAME, BOTH_REFUSE) and f.agreed is None]
    groups = collections.Counter((f.kind, " ".join(sorted(f.mutant.fields()))) for f in unlisted)
    for (kind, fields), number in groups.most_common(24):
        print(f"  not agreed: {kind}: {fields[:64] or '(weights)'}: {number}")
    if len(groups) > 24:
        print(f"  and {len(groups) - 24} other groups")
    path = WORK / "unlisted.txt"
    path.write_text("".join(f.line() + "\n" for f in unlisted))
    stale = agreed.stale() if everything else []
    for entry in stale:
        print(f"  of no use any more: {entry}")
    print(f"{len(unlisted)} not agreed, {len(stale)} entries of no use; all of them: {path}")
    return not unlisted and not stale


def table(findings, agreed):
    """agreed.toml with what it covers, for readers."""
    lines = [
        "# Agreed differences",
        "",
        "Written by `differential.py` from `agreed.toml`; the numbers are mutants.",
        "",
        "| kind | fields | mutants | for example | reason |",
        "| --- | --- | --- | --- | --- |",
    ]
    for number, entry in enumerate(agreed.entries):
        covered = [f for f in findings if f.agreed == number]
        if covered:
            example = covered[0].mutant
            name = example.name().replace("|", "\\|")
            fields = ", ".join(f"`{field}`" for field in entry.get("fields", [])) or "any"
            reason = " ".join(entry["reason"].split())
            text = f"{example.folder}: `{name[:80]}{'…' if len(name) > 80 else ''}`"
            lines.append(f"| {entry['kind']} | {fields} | {len(covered)} | {text} | {reason} |")
    (HERE / "AGREED.md").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", default="", help="a regular expression: only these configs")
    parser.add_argument("--newer", type=pathlib.Path, required=True,
                        help="a folder with transformers 5.24, for Zamba2")  # fmt: skip
    parser.add_argument("--ours", type=pathlib.Path, help="the example `answers`, built already")
    parser.add_argument("--reference-only", action="store_true", help="only gather transformers' answers")
    arguments = parser.parse_args()
    newer = arguments.newer.resolve()
    assert (newer / "transformers").is_dir(), f"{newer} holds no transformers"
    WORK.mkdir(parents=True, exist_ok=True)
    reference, agreed = Reference(newer), Agreed()
    ours = Silent() if arguments.reference_only else Side([program(arguments.ours)])
    findings = []
    for part in [golden_findings, published_findings]:
        for finding in part(reference, ours, arguments.folders):
            if finding.kind not in (SAME, BOTH_REFUSE):
                finding.agreed = agreed.find(finding)
            findings.append(finding)
    reference.end()
    ours.end()
    if arguments.reference_only:
        return 0
    everything = not arguments.folders
    good = summary(findings, agreed, everything)
    if everything:
        table(findings, agreed)
        replayed(findings)
    return 0 if good else 1


def replayed(findings):
    """Writes what the Rust test asks for: where both agree, or Slim refuses by agreement."""
    chosen = {}
    for finding in findings:
        folder, kind = finding.mutant.folder, finding.kind
        path = mutants.GOLDEN / folder / "config.json"
        if path.is_file() and (kind in (SAME, BOTH_REFUSE) or kind == WE_REFUSE and finding.agreed is not None):
            chosen.setdefault(folder, (mutants.read(path), []))[1].append(finding)
    replay.write(HERE / "replay.json", chosen)


class Silent:
    """In place of Slim, to gather the reference's answers."""

    def ask(self, request):
        return Answer(refusal="not asked")

    def end(self):
        pass


if __name__ == "__main__":
    sys.exit(main())
