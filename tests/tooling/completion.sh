#!/usr/bin/env bash
# Each shell that is here loads its script and completes as at the prompt; what is not here is told, and is a skip.
#   completion.sh BUILD_DIR SHELL
set -euo pipefail

build=$(cd "$1" && pwd)
shell=$2
command -v "$shell" >/dev/null || { echo "$shell is not installed: its completions were not tried"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export PATH=$build:$PATH HOME=$dir
touch found.yaml

# ask LINE: what the shell itself would offer at the end of the line, a candidate a line.
ask_bash() {
    bash --norc -c '
        eval "$(sweep completion bash)"
        read -ra COMP_WORDS <<<"${1//=/ = }"
        [[ $1 != *" " && $1 != *= ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _sweep
        printf "%s\n" "${COMPREPLY[@]}"' bash "$1"
}
ask_fish() {
    fish --no-config -c 'sweep completion fish | source; complete -C $argv[1]' -- "$1" | cut -f1
}
# zsh completes only at a prompt: it gets one, on a terminal of its own, and shows its list there.
ask_zsh() {
    python3 - "$1" <<'PY'
import os, pty, re, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", COLUMNS="300", LINES="200")
    os.execvp("zsh", ["zsh", "-f", "-i"])
def read(until, limit=20):
    text, end = "", time.time() + limit
    while until not in text and time.time() < end:
        if select.select([fd], [], [], 0.2)[0]:
            text += os.read(fd, 65536).decode(errors="replace")
    return text
def send(text):
    os.write(fd, text.encode())
send("PS1='READY'; stty columns 300 rows 200 -echo; autoload -Uz compinit; compinit -u -D; LISTMAX=9999; "
     "zstyle ':completion:*' list-prompt ''; source <(sweep completion zsh); setopt no_beep; bindkey '^X' list-choices; "
     "bindkey '^I' complete-word; print LOAD''ED\n")
read("LOADED"); read("READY", 3)
# Both what is filled in (one candidate) and the list (several).
send(sys.argv[1] + "\t")
text = read("\0", 1.2)
send("\x18")
text += read("\0", 0.6)
text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
print("\n".join(word for word in re.split(r"[\s\x08]+", text) if word))
os.close(fd)
PY
}

# expect LINE CANDIDATE: it is offered.
expect() {
    local got
    got=$("ask_$shell" "$1")
    grep -qxF -e "$2" -e "${1##* }$2" -e "sweep $2" <<<"$got" ||
        { echo "$shell: \"$1\": offered"; head -20 <<<"$got"; echo "expected \"$2\" among it"; exit 1; }
}
# refuse LINE CANDIDATE: it is not.
refuse() {
    local got
    got=$("ask_$shell" "$1")
    ! grep -qxF -e "$2" <<<"$got" || { echo "$shell: \"$1\": offered \"$2\", which does not fit there"; exit 1; }
}

expect "sweep co" compare
refuse "sweep co" run
expect "sweep run --fa" --fail-fast
expect "sweep zoo show un" unetplusplus
expect "sweep zoo show unet resnet1" resnet18
expect "sweep bench x --mode " thorough
expect "sweep run f" found.yaml
case $shell in
bash) expect "sweep run --set model.arch=un" unet ;;
*) expect "sweep run --set model.arch=unetp" model.arch=unetplusplus ;;
esac
[ ! -e results/sweep.db ] || { echo "completing made a database"; exit 1; }

# With results: trials and sweeps, also of a database that --db names.
printf 'name: mine\nmodel: {arch: unet, backbone: resnet18}\ntrain: {epochs: 1}\n' >a.yaml
mkdir bin
cp "$build/sweep" bin/
cp "$build/fake-worker" bin/sweep-worker
cp "$build/fake-worker" bin/sweep-bench
FAKE_ACT=done bin/sweep run a.yaml --db other/o.db --no-report --no-tty >run.log 2>&1 || true
id=$(bin/sweep query 'SELECT id FROM trials LIMIT 1' --db other/o.db --csv | tail -1)
[ ${#id} -ge 8 ] || { cat run.log; echo "no trial was stored: got \"$id\""; exit 1; }
expect "sweep show --db other/o.db ${id:0:3}" "$id"
expect "sweep ls --db other/o.db m" mine
