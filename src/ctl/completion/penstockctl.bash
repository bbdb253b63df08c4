# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# bash completion for penstockctl, which says itself what may come next. Nothing that it says is evaluated, and what is put into
# the command line is quoted: a label is anybody's text.

# Sets words, up to the cursor, as the shell will take them: readline cuts at "=" and ":" too. Sets last, which is what readline
# replaces.
_penstockctl_words() {
        local rest=${COMP_LINE:0:COMP_POINT} i word

        words=()
        for ((i = 0; i <= COMP_CWORD; i++)); do
                [[ $i -gt 0 && $rest != [[:blank:]]* ]] || words+=('')
                rest=${rest#"${rest%%[![:blank:]]*}"}
                word=${COMP_WORDS[i]}
                [ "$i" -lt "$COMP_CWORD" ] || word=$rest
                rest=${rest#"$word"}
                words[-1]+=$word
        done
        last=$word
        [[ $last == *[!=:]* ]] || last=''
}

_penstockctl_add() { # VALUE
        local quoted value=$1 cur=${words[-1]//[\"\'\\]/} end=${last//[\"\'\\]/}

        [[ $value == "$cur"* ]] || return 0
        value=${value#"${cur%"$end"}"}
        printf -v quoted %q "$value"
        # Between quotes, backslashes would stay.
        [[ $last != [\"\']* || $quoted == "$value" ]] || return 0
        COMPREPLY+=("$quoted")
        [[ $value != *= ]] || compopt -o nospace 2>/dev/null
}

_penstockctl() {
        local words last line
        local -a said

        COMPREPLY=()
        _penstockctl_words
        mapfile -t said < <(command penstockctl __complete "${words[@]:1}" 2>/dev/null)
        case ${said[0]-} in
        words)
                for line in "${said[@]:1}"; do
                        _penstockctl_add "${line%%$'\t'*}"
                done
                ;;
        files) compopt -o default 2>/dev/null ;;
        directories) compopt -o dirnames 2>/dev/null ;;
        users) mapfile -t COMPREPLY < <(compgen -u -- "$last") ;;
        command\ *)
                if declare -F _command_offset >/dev/null; then
                        _command_offset $((${said[0]#command } + 1))
                elif [ ${#words[@]} -eq $((${said[0]#command } + 2)) ]; then
                        mapfile -t COMPREPLY < <(compgen -c -- "$last")
                else
                        compopt -o default 2>/dev/null
                fi
                ;;
        esac
}

complete -o nosort -F _penstockctl penstockctl
