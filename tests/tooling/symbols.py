"""A name says where to look: whatever one room uses of another begins with that other room's name (base has a few words
of its own). Names that files of one room share among themselves are free, but no two rooms may define the same one.

    symbols.py BUILD_DIR
"""
import glob
import os
import subprocess
import sys

OWN_WORDS = {"base": ("status", "fail", "check", "mem", "arena", "str", "log", "fs", "time", "cores", "hash", "rng",
                      "half", "json", "pass")}


def names(library, *options):
    """C names that nm lists; C++ ones stay inside their room, where headers are extern "C"."""
    out = subprocess.run(["nm", "--extern-only", "--format=posix", *options, library], check=True, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    rows = (line.split() for line in out.splitlines())
    return {r[0] for r in rows if len(r) >= 2 and r[1] in "TDBRCU" and not r[0].startswith("_")}


def main(build):
    libraries = {os.path.basename(f)[len("libsweep_"):-len(".a")]: f for f in glob.glob(f"{build}/libsweep_*.a")}
    libraries.pop("test_support", None)
    defined = {room: names(f, "--defined-only") for room, f in libraries.items()}
    used = {room: names(f, "--undefined-only") - defined[room] for room, f in libraries.items()}
    wrong, crossing = [], 0
    for room, own in sorted(defined.items()):
        words = OWN_WORDS.get(room, (room,))
        for other in sorted(used):
            for name in sorted(used[other] & own) if other != room else ():
                crossing += 1
                if name.split("_")[0] not in words:
                    wrong.append(f"{other} uses {name} of {room}: expected a name that begins with {' or '.join(words)}")
            if other > room:
                wrong += [f"{name} is defined by {room} and by {other}" for name in sorted(own & defined[other])]
    for w in wrong:
        print(w)
    print(f"{len(libraries)} rooms, {sum(map(len, defined.values()))} exported names, {crossing} uses across rooms")
    return 1 if wrong or not crossing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
