/* completion: the script of a shell, which asks `sweep complete` at each press of the tabulator. */
#include "inside.h"

const char *const cli_shells[] = {"bash", "zsh", "fish", NULL};

/* bash cuts words at "=", which is put back here and taken off what is shown: it replaces only what follows. */
static const char bash_script[] =
    "# bash completion of sweep: source <(sweep completion bash)\n"
    "_sweep() {\n"
    "    local words=() i w line glue='' cur\n"
    "    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "        w=${COMP_WORDS[i]}\n"
    "        if [[ ${#words[@]} -gt 0 && ( $w == = || -n $glue ) ]]; then\n"
    "            words[${#words[@]}-1]+=$w\n"
    "        else\n"
    "            words+=(\"$w\")\n"
    "        fi\n"
    "        glue=''\n"
    "        [[ $w == = ]] && glue=1\n"
    "    done\n"
    "    cur=${words[${#words[@]}-1]}\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            while IFS= read -r w; do COMPREPLY+=(\"$w\"); done < <(compgen -f -- \"${cur##*=}\")\n"
    "            continue\n"
    "        fi\n"
    "        line=${line%%$'\\t'*}\n"
    "        [[ $line == *= ]] && compopt -o nospace 2>/dev/null\n"
    "        [[ $cur == *=* ]] && line=${line#\"${cur%=*}=\"}\n"
    "        COMPREPLY+=(\"$line\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" complete -- \"${words[@]}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _sweep sweep\n";

static const char zsh_script[] =
    "#compdef sweep\n"
    "# zsh completion of sweep: sweep completion zsh > a folder of $fpath, named _sweep\n"
    "_sweep() {\n"
    "    local line text files=0\n"
    "    local -a plain shown open open_shown asked\n"
    "    asked=(\"${(@Q)words[2,CURRENT]}\")\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == :files ]]; then files=1; continue; fi\n"
    "        text=${line%%$'\\t'*}\n"
    "        [[ $line == *$'\\t'* ]] && line=\"$text -- ${line#*$'\\t'}\"\n"
    "        if [[ $text == *= ]]; then open+=(\"$text\"); open_shown+=(\"$line\")\n"
    "        else plain+=(\"$text\"); shown+=(\"$line\"); fi\n"
    "    done < <(${(Q)words[1]} complete -- \"${asked[@]}\" 2>/dev/null)\n"
    "    (( $#plain )) && compadd -l -d shown -a plain\n"
    "    (( $#open )) && compadd -l -S '' -d open_shown -a open\n"
    "    (( files )) && _files\n"
    "    return 0\n"
    "}\n"
    "if [[ $funcstack[1] == _sweep ]]; then _sweep \"$@\"; else compdef _sweep sweep; fi\n";

static const char fish_script[] =
    "# fish completion of sweep: sweep completion fish > ~/.config/fish/completions/sweep.fish\n"
    "function __sweep_complete\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    for line in ($words[1] complete -- $words[2..-1] 2>/dev/null)\n"
    "        if test \"$line\" = :files\n"
    "            __fish_complete_path (commandline -ct)\n"
    "        else\n"
    "            echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c sweep -f -a '(__sweep_complete)'\n";

CLI_COMMAND(cli_completion)
{
    (void)code;
    static const char *const scripts[] = {bash_script, zsh_script, fish_script};
    for (size_t i = 0; i < LEN(scripts); i++) {
        if (strcmp(a->pos[0], cli_shells[i]) == 0) {
            fputs(scripts[i], stdout);
            return ok();
        }
    }
    const char *near = str_nearest(a->pos[0], cli_shells);
    return fail(STATUS_ARG, "sweep completion: got \"%s\", expected bash, zsh or fish%s%s%s", a->pos[0],
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}
