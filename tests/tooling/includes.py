"""A room sees the headers of the rooms that the design allows it and of no other: every pair of rooms is tried with
the compiler and the include paths of the real build.

    includes.py BUILD_DIR
"""
import json
import os
import shlex
import subprocess
import sys
import tempfile

TORCH_FREE = "base spec net zoo weights loss data cell export bench plan store engine report serve"
MAY_USE = {  # the design's table: what each room may include beside itself
    "base": "", "spec": "base", "net": "base", "zoo": "base net", "weights": "base", "loss": "base net zoo",
    "tensor": "base", "exec": "base net weights tensor", "data": "base",
    "cell": "base spec net zoo loss data", "train": "base spec net zoo loss tensor exec data weights cell",
    "export": "base net weights", "bench": "base", "plan": "base spec net zoo loss data cell",
    "store": "base", "engine": "base spec plan store", "report": "base store",
    "serve": "base store report", "cli": TORCH_FREE, "worker": TORCH_FREE + " tensor exec train",
}


def compile_commands(build):
    """Room -> the command that compiles one of its files, without its source and output, and the file's language."""
    with open(os.path.join(build, "compile_commands.json")) as f:
        entries = json.load(f)
    commands = {}
    for e in entries:
        parts = e["file"].split(os.sep)
        if "src" not in parts or not e["file"].endswith((".c", ".cpp")) or e["file"].endswith("main.c"):
            continue
        room = parts[parts.index("src") + 1]
        words = shlex.split(e["command"])
        words = words[next(i for i, w in enumerate(words) if "ccache" not in w):]
        language = "c" if e["file"].endswith(".c") else "c++"
        commands.setdefault(room, (e["directory"], [*words[:words.index("-o")], "-x", language]))
    return commands


def main(build):
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    commands = compile_commands(build)
    headers = {r: f"{r}.h" for r in MAY_USE if os.path.exists(os.path.join(source, "src", r, f"{r}.h"))}
    wrong, refused, allowed = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for room, (directory, command) in sorted(commands.items()):
            if room not in MAY_USE:
                wrong.append(f"src/{room} is no room of the design")
                continue
            # One preprocessor run a room asks for every header; which were found is written into its output.
            probe = os.path.join(folder, room)
            with open(probe, "w") as f:
                for other, header in headers.items():
                    f.write(f"#if __has_include(<{header}>)\nfound {other}\n#endif\n")
            out = subprocess.run([*command, "-E", "-P", probe], cwd=directory, check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
            found = {line.split()[1] for line in out.splitlines() if line.startswith("found ")}
            may = set(MAY_USE[room].split()) | {room}
            for other in headers:
                if other in found and other not in may:
                    wrong.append(f"src/{room} can include {headers[other]}, which the design does not allow")
                refused += other not in found
                allowed += other in found
        # And once in earnest: the compiler itself refuses.
        directory, command = commands["net"]
        probe = os.path.join(folder, "wrong_way")
        with open(probe, "w") as f:
            f.write('#include "zoo.h"\n')
        p = subprocess.run([*command, "-fsyntax-only", probe], cwd=directory, text=True, stderr=subprocess.PIPE)
        if p.returncode == 0 or "zoo.h" not in p.stderr:
            wrong.append(f"src/net including zoo.h: expected an error that names zoo.h, got {p.stderr!r}")
    for w in wrong:
        print(w)
    print(f"{len(commands)} rooms: {allowed} includes found, {refused} refused")
    return 1 if wrong or not refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
