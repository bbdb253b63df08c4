# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/guest, named at the head
# Booting a test guest, and being its other end. Needs common.sh, guest-base.sh, guest-qemu.sh;
# expects tools_dir, base, project_image, accel, forward, share, timeout, console, tmp; sets status.

boot_limit=180   # from the start of QEMU until the command begins
boot_tries=3     # when QEMU itself breaks before then
finish_limit=600 # for what the command left in the pipes and the changes under /share

# The job goes in as a second archive in the initramfs, /share as a tar on a disk.
guest_make_job() { # COMMAND…
        local job=$tmp/initramfs.d/job

        mkdir -p "$job"
        cp "$tools_dir/guest.d/run-job" "$tools_dir/guest.d/penstock-guest-job.service" "$job/"
        printf '%s\0' "$@" >"$job/argv"
        if [ -n "$share" ]; then
                touch "$job/share"
                tar -c --sparse --numeric-owner -C "$share" -f "$tmp/share.tar" .
        fi
        { cat "$base/initramfs" && pack_initramfs "$tmp/initramfs.d"; } >"$tmp/initramfs"
}

# Starts the guest in the background: sets $qemu_pid, and $out_pid, $err_pid of what passes its output on. That ends when nobody has its
# pipe open for writing; we have, until guest_end_output(), or it would wait for a QEMU that never came so far.
guest_start() {
        local port

        qemu_command "$accel"
        qemu+=(-initrd "$tmp/initramfs" -append "$kernel_args" -serial "file:$console" -device virtio-serial-pci)
        if [ -n "$project_image" ]; then
                qemu+=(-drive "if=none,id=project,format=raw,cache=unsafe,snapshot=on,file=$project_image"
                        -device "virtio-blk-pci,drive=project,serial=project")
        fi
        if [ -n "$share" ]; then
                qemu+=(-drive "if=none,id=share,format=raw,readonly=on,file=$tmp/share.tar"
                        -device "virtio-blk-pci,drive=share,serial=share")
        fi
        if [ -n "$forward" ]; then # restrict: the other way there is nothing to reach
                qemu+=(-netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${forward%:*}-10.0.2.15:${forward#*:}"
                        -device "virtio-net-pci,netdev=net,romfile=")
        fi
        rm -f "$tmp/stdout" "$tmp/stderr" "$tmp/control"
        mkfifo "$tmp/stdout" "$tmp/stderr" "$tmp/control"
        for port in stdout stderr control changes; do
                qemu+=(-chardev "file,id=$port,path=$tmp/$port"
                        -device "virtserialport,chardev=$port,name=penstock.$port")
        done

        : >"$console"
        # for writing too, so that neither side waits for the other to open it
        exec {out}<>"$tmp/stdout" {err}<>"$tmp/stderr" {control}<>"$tmp/control"
        dd bs=64K <"$tmp/stdout" 2>"$tmp/stdout.dd" {out}>&- {err}>&- &
        out_pid=$!
        dd bs=64K <"$tmp/stderr" >&2 2>"$tmp/stderr.dd" {out}>&- {err}>&- &
        err_pid=$!
        # If this script is killed outright, so is QEMU.
        setpriv --pdeathsig KILL "${qemu[@]}" </dev/null >"$tmp/qemu" 2>&1 &
        qemu_pid=$!
}

# Starts it, and waits until the command begins. QEMU 10.0 can abort by an assertion of its own while a guest maps its
# devices (seen once in some thousand boots: "iotlb_to_section: Assertion `section_index < d->map.sections_nb' failed"). Nothing of
# the command has run by then, so another boot is as good, and is told. What a guest does to itself is never tried again.
guest_boot() {
        local try

        for ((try = 1; ; try++)); do
                guest_start
                if guest_wait_word $boot_limit "the command began" "$try"; then return; fi
                say "QEMU broke, booting again; it said: $(cat "$tmp/qemu")"
                guest_end_output
                exec {control}>&-
        done
}

# Whether it ended by SIGABRT.
guest_has_broken() {
        local r=0

        wait "$qemu_pid" || r=$?
        [ $r = 134 ]
}

# Waits for the guest's next word on the control port: sets $word. Fails after LIMIT seconds, and when the guest is gone; the status
# is 1 when QEMU broke in a TRY to boot that is not the last.
guest_wait_word() { # LIMIT WHAT [TRY]
        local end=$((SECONDS + $1)) gone=0 more

        word=''
        while :; do
                # read leaves what it had when its second was over
                if IFS= read -r -t 1 -u "$control" more; then
                        word+=$more
                        return
                fi
                word+=$more
                # what it said before it went may still be in the pipe: look once more
                if [ $gone = 1 ]; then
                        if [ "${3:-$boot_tries}" -lt $boot_tries ] && guest_has_broken; then return 1; fi
                        guest_failed "the guest died before $2"
                fi
                if ! kill -0 "$qemu_pid" 2>/dev/null; then
                        gone=1
                elif ! kill -0 "$out_pid" 2>/dev/null; then
                        exit 141 # whoever read our output is gone: end like a program that SIGPIPE killed
                fi
                if [ $SECONDS -ge $end ]; then guest_failed "time limit: $1 s passed before $2"; fi
        done
}

guest_failed() { # MESSAGE
        local panic

        guest_kill
        guest_end_output
        if [ -s "$tmp/qemu" ]; then tail -n 5 "$tmp/qemu" >&2; fi
        say "the last lines of its console:"
        tail -n 30 "$console" | tr -d '\r' >&2
        panic=$(grep -ao 'Kernel panic.*' "$console" | tail -n 1 | tr -d '\r') || :
        fail "$1${panic:+ ($panic)}"
}

guest_kill() {
        kill -KILL "$qemu_pid" 2>/dev/null || :
        wait "$qemu_pid" 2>/dev/null || :
}

# When QEMU has ended: waits until all that it wrote has been passed on.
guest_end_output() {
        exec {out}>&- {err}>&-
        wait "$out_pid" "$err_pid" || :
}

# Waits until COUNT bytes have been passed on; see guest.d/run-job. A slow reader may take all the time it wants.
guest_wait_passed() { # PORT PID COUNT
        # dd says how much it has passed on when it gets SIGUSR1
        while [ "$(sed -n 's/ bytes.*//p' "$tmp/$1.dd" | tail -n 1)" != "$3" ]; do
                kill -0 "$qemu_pid" 2>/dev/null || guest_failed "the guest died before all of its output had come"
                kill -USR1 "$2" 2>/dev/null || return 0 # nobody reads any more
                sleep 0.05
        done
}

# Sets $status to the command's.
guest_follow() {
        local begin end out_count err_count changes_count

        now_ms begin
        guest_boot
        [ "$word" = begun ] || guest_failed "unexpected word from the guest: $word"
        now_ms end
        verbose "$((end - begin)) ms from QEMU's start to the command's ($accel)"
        guest_wait_word "$timeout" "the command ended"
        [ "$word" = ended ] || guest_failed "unexpected word from the guest: $word"
        now_ms begin
        verbose "$((begin - end)) ms for the command"
        guest_wait_word $finish_limit "all of its output had come"
        read -r word status out_count err_count changes_count <<<"$word"
        [ "$word" = exit ] || guest_failed "unexpected word from the guest: $word"
        guest_wait_passed stdout "$out_pid" "$out_count"
        guest_wait_passed stderr "$err_pid" "$err_count"
        until [ "$(stat -c %s "$tmp/changes")" = "$changes_count" ]; do
                kill -0 "$qemu_pid" 2>/dev/null || guest_failed "the guest died before all changes had come"
                sleep 0.05
        done
        guest_kill # it has nothing more to say, and waits for this
        guest_end_output
        if [ -n "$share" ]; then guest_apply_changes; fi
        now_ms end
        verbose "$((end - begin)) ms to finish"
}

guest_apply_changes() {
        tar -x -f "$tmp/changes" -C "$tmp" .penstock-guest-gone || fail "could not read the changes under /share"
        (
                cd "$share" || exit
                # deepest first; a directory that got new files on this side in the meantime stays
                LC_ALL=C sort -z -r "$tmp/.penstock-guest-gone" | while IFS= read -r -d '' f; do
                        if [ -d "$f" ] && [ ! -L "$f" ]; then rmdir "$f" 2>/dev/null || :; else rm -f "$f"; fi
                done
        )
        tar -x --numeric-owner -f "$tmp/changes" -C "$share" --exclude=./.penstock-guest-gone \
                --exclude=.penstock-guest-gone --anchored || fail "could not bring back the changes under /share"
}
