"""One mutated config, and the values that a setting may be given."""

import dataclasses
import json

from settings import ACTIVATION_FIELDS, ACTIVATIONS, CLASSES, DTYPES

LENGTH = 24  # past every sliding window (16) and every chunk (16) of the golden folders
LONG = 4200  # past the windows that classes have by default (4096)


@dataclasses.dataclass
class Mutant:
    folder: str
    set: dict = dataclasses.field(default_factory=dict)
    drop: list = dataclasses.field(default_factory=list)
    weights: str = ""  # another set of tensors; see weights.py
    length: int = LENGTH

    def name(self):
        """One line that tells it from all others of its folder."""
        parts = [f"-{key}" for key in self.drop]
        parts += [f"{key}={json.dumps(value, sort_keys=True)}" for key, value in self.set.items()]
        parts += [f"@{self.weights}"] if self.weights else []
        parts += [f"^{self.length}"] if self.length != LENGTH else []
        return " ".join(parts) or "(as it is)"

    def fields(self):
        return [*self.drop, *self.set]

    def config(self, original):
        config = {key: value for key, value in original.items() if key not in self.drop}
        return json.dumps(config | self.set, indent=1)


def same(a, b):
    """Equal in JSON: 1, 1.0 and true are three values."""
    return json.dumps(a) == json.dumps(b)


def values(field, current):
    """Plausible and less plausible values by the kind of the current one."""
    if field in ACTIVATION_FIELDS:
        return ACTIVATIONS
    if field in ("dtype", "torch_dtype"):
        return DTYPES
    if field == "architectures":
        return [[name] for name in CLASSES] + [[], None, ["x"], "LlamaForCausalLM", [*current, "x"]]
    if field == "model_type":
        return ["llama", "mistral", "qwen2", "qwen3", "gemma3_text", "gpt2", "opt", "mamba2", "zamba2", "",
                "x", None]  # fmt: skip
    if isinstance(current, bool):
        return [True, False, None, 0, 1, "true"]
    if isinstance(current, int):
        return [0, 1, 2, 3, current - 1, current + 1, current // 2, 2 * current, -1, None,
                float(current), str(current)]  # fmt: skip
    if isinstance(current, float):
        return [0, 0.0, 1, 0.5, 10 * current, current / 10, -1.0, None, str(current), 1e300, float("inf")]
    if current is None:
        return [0, 1, 2, 7, 16, True, False, 0.5, "x", [], {}]
    if isinstance(current, str):
        return ["", "x", None, 0]
    if isinstance(current, list):
        return [[], None, current[:-1], current + current[-1:], current[::-1], "x", 0, {}]
    return [{}, None, "x", 0, []]
