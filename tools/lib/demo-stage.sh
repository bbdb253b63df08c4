# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/demo and demo-scenes.sh
# What the scenes of tools/demo are played with: a user who types commands in a directory of his own, queries that wait for a word, and
# checks that fail a scene. Needs common.sh; expects project_dir, user; sets home (that directory), scratch, n_scenes, n_good.

slice=/sys/fs/cgroup/penstock.slice
patience=180 # seconds until a condition is given up; the host may be slow
n_scenes=0 n_good=0
made_user='' home='' scratch='' ids_before='no answer'

stage_check_host() {
        [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || fail "--here needs cgroup v2 at /sys/fs/cgroup; leave it out"
        [ -d /run/systemd/system ] || fail "--here needs systemd; leave it out"
        command -v penstockctl >/dev/null || fail "--here needs Penstock installed; the README says how"
        systemctl is-active --quiet penstockd || fail "penstockd is not running: systemctl start penstockd"
}

stage_make_user() {
        local own

        if [ -z "$user" ]; then
                user=penstock-demo
                useradd --create-home --groups penstock --shell /bin/bash $user ||
                        fail "could not make the user $user; what a demo left that was killed goes with: userdel --remove $user"
                made_user=$user
        fi
        id "$user" >/dev/null 2>&1 || fail "there is no user $user"
        home=$(getent passwd "$user" | cut -d: -f6)
        ids_before=$(list_ids)
        # shellcheck disable=SC2016 # for the user's shell
        own=$(as_user 'mktemp -d "$PWD/penstock-demo.XXXXXX"')
        home=$own
        scratch=$(mktemp -d)
}

# Nothing goes but what came with the demo.
stage_clean_up() {
        local id

        set +e
        exec 9>&- 8>&- 7>&-
        if [ "$ids_before" != 'no answer' ]; then
                for id in $(list_ids); do
                        case " $ids_before " in *" $id "*) ;; *) penstockctl cancel "$id" 2>/dev/null ;; esac
                done
        fi
        # shellcheck disable=SC2016
        case $home in */penstock-demo.*) as_user 'rm -rf "$PWD"' ;; esac
        rm -rf "$scratch"
        if [ -n "$made_user" ]; then userdel --remove "$made_user" 2>/dev/null; fi
}

stage_introduce() {
        printf '\nA host with %d MiB of memory, Linux %s, systemd %s. The user %s is in the group penstock.\n' \
                "$(awk '/^MemTotal/{print int($2 / 1024)}' /proc/meminfo)" "$(uname -r)" \
                "$(systemctl --version | awk 'NR == 1{print $2}')" "$user"
        types "penstockctl config show | grep -E 'ConcurrencyQuota|MemoryBytes|QueueSize'" || :
        types 'penstockctl status' || :
}

# play SCENE: the function scene_SCENE; it is as promised when no check in it failed.
play() {
        n_scenes=$((n_scenes + 1))
        scene_failed=''
        printf '\n=== '
        "scene_$1" || problem "the scene broke off"
        if [ -z "$scene_failed" ]; then
                n_good=$((n_good + 1))
                printf -- '--- as promised\n'
        else
                printf -- '--- NOT as promised\n'
                journalctl --quiet --no-pager --lines=40 --unit=penstockd --unit='penstock-q*' | sed 's/^/    | /'
        fi
}

stage_conclude() {
        printf '\ndemo: %d of %d scenes as promised\n' $n_good $n_scenes
        [ $n_good = $n_scenes ]
}

# types COMMAND: shown as the user types it, and run as that user. What it says is shown, standard error last,
# and is in $scratch/out and $scratch/err. Sets typed_status.
types() {
        printf '\n%s:~/%s$ %s\n' "$user" "${home##*/}" "$1"
        typed_status=0
        as_user "$1" 2>"$scratch/err" | tee "$scratch/out" || typed_status=${PIPESTATUS[0]}
        cat "$scratch/err"
}

as_user() { # COMMAND
        setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --reset-env -- \
                env -C "$home" LANG=C.UTF-8 TERM=dumb bash -c "$1" </dev/null
}

# types_root COMMAND: the same by the administrator.
types_root() {
        printf '\nroot:~# %s\n' "$1"
        typed_status=0
        (cd / && bash -c "$1") </dev/null 2>&1 | tee "$scratch/out" || typed_status=${PIPESTATUS[0]}
}

problem() {
        scene_failed=1
        printf '  NOT TRUE: %s\n' "$1"
}

# check WHAT COMMAND…: true when COMMAND succeeds.
check() {
        local what=$1

        shift
        if "$@"; then printf '  checked: %s\n' "$what"; else problem "$what"; fi
}

# check_equal WHAT SEEN WANTED
check_equal() {
        if [ "$2" = "$3" ]; then printf '  checked: %s (%s)\n' "$1" "$2"; else problem "$1: '$2', wanted '$3'"; fi
}

# wait_until WHAT COMMAND…: polls; a condition that never comes true fails the scene.
wait_until() {
        local what=$1 end=$((SECONDS + patience))

        shift
        until "$@"; do
                if [ $SECONDS -ge $end ]; then
                        problem "$patience s passed, and still not: $what"
                        return 1
                fi
                sleep 0.1
        done
}

# json COMMAND EXPRESSION: Python's value of EXPRESSION, where d is what COMMAND printed.
json() {
        as_user "$1" | python3 -c "
import json, sys
d = json.load(sys.stdin)
$2" || echo "no answer"
}

# Of the user's own queries.
list_ids() {
        json 'penstockctl list --json' "print(*[q['id'] for q in d if q['user_id'] == $(id -u "$user")])" 2>/dev/null
}

# starts FD COMMAND: shown and run in the background; the command's standard input stays open until the gate FD (7 to 9)
# is closed, and its output goes to $scratch/FD. Sets started_id to the query that came with it, and started_pid.
starts() {
        local fd=$1 command=$2 before

        printf '\n%s:~/%s$ %s &\n' "$user" "${home##*/}" "$command"
        before=" $(list_ids) "
        rm -f "$scratch/gate$fd"
        mkfifo "$scratch/gate$fd"
        chmod 711 "$scratch"
        setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --reset-env -- \
                env -C "$home" LANG=C.UTF-8 TERM=dumb bash -c "$command" <"$scratch/gate$fd" >"$scratch/$fd" 2>&1 &
        started_pid=$!
        eval "exec $fd>\"\$scratch/gate$fd\""
        wait_until "the query runs" find_started "$before" || return
}

# The ID that was not there before and has a process by now.
find_started() { # IDS_BEFORE
        local id

        started_id=''
        for id in $(list_ids); do
                case $1 in *" $id "*) ;; *) started_id=$id ;; esac
        done
        [ -n "$started_id" ] && engine_file "$started_id" cgroup.events | grep -q 'populated 1'
}

engine_file() { # ID NAME
        cat "$slice/penstock-q$1.service/engine/$2" 2>/dev/null
}

opens() { # FD [WORD]: what waits at the gate goes on
        eval "echo '${2:-go}' >&$1"
}
