# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# What can be said about the project's files without building them. Needs common.sh, steps.sh; run in the project's root.

lint_packages=(codespell shellcheck libxml2-utils pyflakes3 git)

lint_all() {
        lint_find
        step "lint: layers" lint_layers || :
        step "lint: licence lines" lint_licences || :
        step "lint: file lengths" lint_lengths || :
        step "lint: codespell" codespell --ignore-words-list contoller,mis,fo "${lint_files[@]}" || :
        step "lint: shellcheck" shellcheck -x -P SCRIPTDIR "${lint_shell[@]}" || :
        step "lint: xmllint" xmllint --noout --nonet "${lint_xml[@]}" || :
        step "lint: pyflakes" pyflakes3 "${lint_python[@]}" || :
        step "lint: host names" lint_no_hosts || :
}

# Sets lint_files, and of these lint_shell, lint_python, lint_xml.
lint_find() {
        local f head

        mapfile -d '' -t lint_files < <(project_list)
        lint_shell=() lint_python=() lint_xml=()
        for f in "${lint_files[@]}"; do
                head=''
                IFS= read -r head <"$f" || :
                case $f:$head in
                *:'#!/bin/busybox'*) ;; # has lines that only busybox knows
                *.sh:* | *:'#!/bin/sh'* | *:'#!/bin/bash'*) lint_shell+=("$f") ;;
                *.py:* | *:'#!/usr/bin/env python3'* | *:'#!/usr/bin/python3'*) lint_python+=("$f") ;;
                *.xml:*) lint_xml+=("$f") ;;
                *.conf:*'<!DOCTYPE'*) lint_xml+=("$f") ;;
                esac
        done
}

# The project's text files, NUL-separated: what git tracks or would track; without git, all that is not built.
project_list() {
        if git -c "safe.directory=$PWD" rev-parse --git-dir >/dev/null 2>&1; then
                git -c "safe.directory=$PWD" ls-files -z --cached --others --exclude-standard
        else
                find . -path './.*' -prune -o -path './build*' -prune -o -type f -printf '%P\0'
        fi | while IFS= read -r -d '' f; do
                if [ -f "$f" ] && [ "$f" != LICENSE ]; then printf '%s\0' "$f"; fi
        done
}

# Which rooms' headers a room may include, and which outside ones. docs/ARCHITECTURE.md says why.
lint_layers() {
        local bad=0

        layer core 'core/' '' || bad=1
        layer host 'core/ host/ worker/protocol.h worker/launch.h' \
                'systemd/ libcgroup.h ini.h jansson.h' || bad=1
        layer worker 'core/base.h core/error.h worker/' '' || bad=1
        layer bus 'core/ host/ bus/ daemon/manager.h' 'systemd/' || bad=1
        layer daemon 'core/ host/ bus/ daemon/ worker/' 'systemd/' || bad=1
        layer client 'core/base.h core/lists.h client/ penstock.h' 'systemd/' || bad=1
        layer ctl 'core/base.h ctl/ penstock.h' 'jansson.h libsmartcols.h libsmartcols/' || bad=1
        layer sim 'core/ sim/' '' || bad=1
        lint_core_is_pure || bad=1
        lint_one_library_a_file || bad=1
        return $bad
}

# layer ROOM INSIDE OUTSIDE: each a list of prefixes, of "…" and of <…> includes. libc's headers have no directory but sys/,
# netinet/, linux/ and arpa/, so they need no list; other libraries' must be named.
layer() {
        local room=$1 inside=$2 outside=$3 file header bad=0

        [ -d "src/$room" ] || return 0
        while IFS=: read -r file header; do
                if ! starts_with_one "$header" "$inside"; then
                        echo "$file: src/$room may not include \"$header\""
                        bad=1
                fi
        done < <(grep -roP '^\s*#\s*include\s+"\K[^"]+' "src/$room" --include='*.[ch]')
        while IFS=: read -r file header; do
                if ! starts_with_one "$header" "$outside"; then
                        echo "$file: src/$room may not include <$header>"
                        bad=1
                fi
        done < <(grep -roP '^\s*#\s*include\s+<\K(?!sys/|linux/|asm/|netinet/|arpa/)([a-z_0-9]+/|libcgroup|ini\.h|jansson|sqlite3|libsmartcols|penstock)[^>]*' \
                "src/$room" --include='*.[ch]')
        return $bad
}

starts_with_one() { # WORD PREFIXES
        local prefix

        for prefix in $2; do
                if [[ $1 == "$prefix"* ]]; then return 0; fi
        done
        return 1
}

# The core has no clock, no descriptor and no log, so it needs none of these.
lint_core_is_pure() {
        ! grep -rnP '^\s*#\s*include\s+<(time|unistd|fcntl|poll|signal|pthread|syslog|dirent|sys/(?!param|types|resource)[a-z]+)\.h>' \
                src/core --include='*.[ch]' | grep -v '/report_' || {
                echo "src/core may not include these"
                return 1
        }
}

# In src/host each file uses one outside library at most, so that one can be exchanged in one place.
lint_one_library_a_file() {
        local file n bad=0

        for file in src/host/*.c; do
                [ -e "$file" ] || continue
                n=$(grep -oP '^\s*#\s*include\s+<\K(systemd/|libcgroup|ini\.h|jansson)' "$file" | sort -u | wc -l)
                if [ "$n" -gt 1 ]; then
                        echo "$file uses $n outside libraries"
                        bad=1
                fi
        done
        return $bad
}

lint_licences() {
        local f bad=0

        for f in "${lint_files[@]}"; do
                case $f in
                *.md | .gitignore | *.sym | tests/fuzz/corpus/*) continue ;;
                esac
                if ! head -n 5 "$f" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later'; then
                        echo "$f has no SPDX line"
                        bad=1
                fi
        done
        return $bad
}

lint_lengths() {
        local f n bad=0

        for f in "${lint_files[@]}"; do
                case $f in
                *.md | *.scd | *.xml | tests/*) continue ;;
                esac
                n=$(wc -l <"$f")
                if [ "$n" -gt 600 ]; then
                        echo "$f has $n lines; about 400 is the aim"
                        bad=1
                fi
        done
        return $bad
}

# mmdebstrap and apt know where Debian is; nothing here should.
lint_no_hosts() {
        ! grep -nE '(deb|ftp|mirror|security)\.debian\.org|snapshot\.debian' "${lint_files[@]}" | grep -v '^tools/lib/lint.sh'
}
