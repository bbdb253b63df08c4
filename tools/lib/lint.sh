# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# What can be said about the project's files without building them; layers, lengths and licence lines are a test of
# meson's (tests/lint). Needs common.sh, steps.sh; run in the project's root.

lint_packages=(codespell shellcheck libxml2-utils pyflakes3 git)

lint_all() {
        lint_find
        step "lint: codespell" codespell --ignore-words-list contoller,buildd "${lint_files[@]}" || :
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
                *.sh:* | *.bash:* | *:'#!/bin/sh'* | *:'#!/bin/bash'*) lint_shell+=("$f") ;;
                *.py:* | *:'#!/usr/bin/env python3'* | *:'#!/usr/bin/python3'*) lint_python+=("$f") ;;
                *.xml:* | *.policy:*) lint_xml+=("$f") ;;
                *.conf:*'<!DOCTYPE'*) lint_xml+=("$f") ;;
                esac
        done
}

# The project's text files, NUL-separated: what git tracks or would track; without git, all that is not built. What fuzzing
# found is no text.
project_list() {
        if [ "$(git -c "safe.directory=$PWD" rev-parse --show-toplevel 2>/dev/null)" = "$PWD" ]; then
                git -c "safe.directory=$PWD" ls-files -z --cached --others --exclude-standard
        else
                find . -path './.*' -prune -o -path './build*' -prune -o -type f -printf '%P\0'
        fi | while IFS= read -r -d '' f; do
                if [ -f "$f" ] && [ "$f" != LICENSE ] && [[ $f != tests/fuzz/corpus/* ]]; then printf '%s\0' "$f"; fi
        done
}

# mmdebstrap and apt know where Debian is; nothing here should.
lint_no_hosts() {
        ! grep -nE '(deb|ftp|mirror|security)\.debian\.org|snapshot\.debian' "${lint_files[@]}" | grep -v '^tools/lib/lint.sh'
}
