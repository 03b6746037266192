"""Every exported C symbol of a room begins with the room's name (base has a few words of its own), so that a name says
where to look; and no C++ name leaves the tensor room.

    symbols.py BUILD_DIR
"""
import glob
import os
import subprocess
import sys

OWN_WORDS = {"base": ("status", "fail", "check", "mem", "arena", "str", "log", "fs", "time", "hash", "rng", "json")}


def exported(library):
    """Names of defined global text, data and constants; weak ones are the compiler's (inline functions, templates)."""
    out = subprocess.run(["nm", "--extern-only", "--defined-only", library], check=True, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    for line in out.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "TDBRC":
            yield words[2]


def main(build):
    libraries = sorted(glob.glob(os.path.join(build, "libsweep_*.a")))
    wrong, names = [], 0
    for library in libraries:
        room = os.path.basename(library)[len("libsweep_"):-len(".a")]
        if room == "test_support":
            continue
        prefixes = tuple(w + "_" for w in OWN_WORDS.get(room, (room,)))
        for name in exported(library):
            names += 1
            if name.startswith("_Z"):
                good = room == "tensor"
            else:
                good = name.startswith(("__", *prefixes)) or name in OWN_WORDS.get(room, ())
            if not good:
                wrong.append(f"{room}: {name}: expected a name that begins with {' or '.join(prefixes)}")
    for w in wrong:
        print(w)
    print(f"{len(libraries)} libraries, {names} exported names")
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
