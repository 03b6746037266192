#!/usr/bin/env bash
# The top level holds what the project promises and nothing else; scripts parse; no promise is left in the code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

allowed='^(configs|docs|src|sweeps|results|reports|tests|bench|CMakeLists\.txt|Makefile|README\.md|LICENSE|CHANGELOG\.md|\..*)$'
extra=$(git ls-files | cut -d/ -f1 | sort -u | grep -vE "$allowed" || true)
[ -z "$extra" ] || { echo "not a name for the top level: $extra"; exit 1; }

for script in .ci/* bench/* tests/tooling/*; do
    case $(head -c 60 "$script" | head -n 1) in
    *bash* | '# Shared'*) bash -n "$script" ;;
    *python3*) python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script" ;;
    esac
done

word='TO''DO|FIX''ME|XX''X'
if git grep -nIE "\b($word)\b" -- src tests bench .ci CMakeLists.txt Makefile; then
    echo "finish these, or say in an issue why not"
    exit 1
fi
