#!/usr/bin/env python3
"""`sweep keys --schema` against an independent validator: every file of configs/, sweeps/ and the documentation's own is
valid; every bad file of test_errors.c is invalid, but for mistakes that a schema cannot know, which are named here.

usage: schema.py BUILD. Exit status 77, skipped, where jsonschema and PyYAML are not installed (.ci/setup schema)."""
import ast
import glob
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.path.join(TOP, ".deps", "venv", "bin", "python")
if os.access(PYTHON, os.X_OK) and "inside" not in sys.argv:
    os.execv(PYTHON, [PYTHON, *sys.argv, "inside"])
try:
    import jsonschema
    import yaml
except ImportError as e:
    print(f"{e}: `.ci/setup schema` brings it; skipped")
    sys.exit(77)


class Core(yaml.SafeLoader):
    """YAML 1.2's core rules, as `sweep` and editors read: `yes` is a text, 1e-3 a number."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in [("bool", r"true|false", "tf"), ("null", r"~|null|", ["~", "n", ""]),
                            ("int", r"[-+]?[0-9]+", "-+0123456789"),
                            ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789")]:
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))
Core.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))

# What the words of a refusal show to be beyond a schema: it sees one place at a time, and no other file.
BEYOND = [
    r"given twice", r"varied here", r"as many as \S+ has", r"keep one", r"and a fraction for validation",  # two places
    r"extends", r"tags are not supported",  # another file; what the parser has resolved
    r"expected \[low, high\] within", r"train\.epochs: got 0, expected",  # which end is greater; what is between the ends
]


def bad_files():
    """(text, message) of the tables in test_errors.c: entries {"TEXT", "MESSAGE"}."""
    with open(os.path.join(TOP, "tests", "spec", "test_errors.c"), encoding="utf-8") as f:
        source = f.read()
    string = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
    for m in re.finditer(r"\{" + string + r",\s*" + string + r"\}", source):
        yield tuple("".join(ast.literal_eval(s) for s in re.findall(r'"(?:[^"\\]|\\.)*"', part)) for part in m.groups())


def main():
    schema = json.loads(subprocess.check_output([os.path.join(sys.argv[1], "sweep"), "keys", "--schema"]))
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema)
    validator = kind(schema)
    wrong, good = [], sorted(p for d in ("configs", "sweeps") for p in glob.glob(os.path.join(TOP, d, "*.yaml")))
    good += [os.path.join(TOP, "tests", "fuzz", "corpus", "yaml", n) for n in
             ("all-keys.yaml", "slurm.yaml")]
    for path in good:
        with open(path, encoding="utf-8") as f:
            for e in validator.iter_errors(yaml.load(f, Core)):
                wrong.append(f"{os.path.relpath(path, TOP)}: {e.json_path}: {e.message[:200]}")
    refused = unparsed = beyond = 0
    for text, message in bad_files():
        try:
            document = yaml.load(text, Core)
        except yaml.YAMLError:
            unparsed += 1
            continue
        if not validator.is_valid(document):
            refused += 1
        elif any(re.search(p, message) for p in BEYOND):
            beyond += 1
        else:
            wrong.append(f"accepted: {text!r}, which is refused by: {message}")
    print(f"{len(good)} good files; of the bad ones {refused} refused, {beyond} beyond a schema, {unparsed} no YAML")
    if refused < 60:
        wrong.append(f"only {refused} bad files refused: are they still found?")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
