# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/guest, named at the head
# Booting a test guest, and being its other end. Needs common.sh; expects base, project_image, memory, cpus, tmp, cache.

boot_limit=180   # from the start of QEMU until the command begins
finish_limit=600 # for what the command left in the pipes and the changes under /share
probe_limit=20

# Sets qemu to the command without its job. The guest writes to the images, but only into files that QEMU made in
# $tmp and unlinked: each guest starts from the same state and several can run.
guest_qemu() { # ACCEL
        qemu=(env "TMPDIR=$tmp" qemu-system-x86_64 -machine pc -m "$memory" -smp "$cpus"
                -nodefaults -no-user-config -display none -no-reboot
                -kernel "$base/vmlinuz"
                -drive "if=none,id=root,format=raw,cache=unsafe,snapshot=on,file=$base/root.ext4"
                -device "virtio-blk-pci,drive=root,serial=root")
        case $1 in
        kvm) qemu+=(-accel kvm -cpu host) ;;
        tcg) qemu+=(-accel "tcg,thread=multi" -cpu "$tcg_cpu") ;;
        esac
}

tcg_cpu=${PENSTOCK_TCG_CPU:-Nehalem}
# panic=-1 with -no-reboot: a kernel that panics ends QEMU.
kernel_args="console=ttyS0 loglevel=4 panic=-1 mitigations=off systemd.condition-needs-update=no ${PENSTOCK_KERNEL_ARGS:-}"

# Sets $accel: KVM only if a guest got through on it. It can be there and hang on an instruction that a nested
# hypervisor does not know, so it is tried once a boot of the host, with a time limit that cannot be ignored.
guest_choose_accel() {
        local verdict

        accel=${PENSTOCK_ACCEL:-}
        case $accel in
        kvm | tcg) return ;;
        '') ;;
        *) fail "PENSTOCK_ACCEL is '$accel', not kvm or tcg" ;;
        esac

        accel=tcg
        if [ ! -w /dev/kvm ]; then return; fi
        verdict=$base/accel-$(</proc/sys/kernel/random/boot_id)
        if [ ! -e "$verdict" ]; then
                rm -f "$base"/accel-*
                timed "KVM probe" guest_probe_kvm >"$verdict.new"
                mv "$verdict.new" "$verdict"
        fi
        accel=$(<"$verdict")
}

guest_probe_kvm() {
        local qemu

        guest_qemu kvm
        qemu+=(-initrd "$base/initramfs" -append "$kernel_args penstock.probe" -serial "file:$tmp/probe")
        if timeout -k 2 $probe_limit "${qemu[@]}" </dev/null >"$tmp/probe.qemu" 2>&1 &&
                grep -q 'penstock-guest: probe passed' "$tmp/probe"; then
                echo kvm
        else
                echo tcg
        fi
}

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

# Starts the guest in the background: sets $qemu_pid, and $out_pid, $err_pid of what passes its output on.
guest_start() {
        local port

        guest_qemu "$accel"
        qemu+=(-initrd "$tmp/initramfs" -append "$kernel_args" -serial "file:$console" -device virtio-serial-pci
                -drive "if=none,id=project,format=raw,cache=unsafe,snapshot=on,file=$project_image"
                -device "virtio-blk-pci,drive=project,serial=project")
        if [ -n "$share" ]; then
                qemu+=(-drive "if=none,id=share,format=raw,readonly=on,file=$tmp/share.tar"
                        -device "virtio-blk-pci,drive=share,serial=share")
        fi
        mkfifo "$tmp/stdout" "$tmp/stderr" "$tmp/control"
        for port in stdout stderr control changes; do
                qemu+=(-chardev "file,id=$port,path=$tmp/$port"
                        -device "virtserialport,chardev=$port,name=penstock.$port")
        done

        : >"$console"
        cat "$tmp/stdout" &
        out_pid=$!
        cat "$tmp/stderr" >&2 &
        err_pid=$!
        exec {control}<>"$tmp/control" # for writing too, so that neither side waits for the other to open it
        # If this script is killed outright, so is QEMU.
        setpriv --pdeathsig KILL "${qemu[@]}" </dev/null >"$tmp/qemu" 2>&1 &
        qemu_pid=$!
}

# Waits for the guest's next word on the control port: sets $word. Fails when the guest is gone or after LIMIT seconds.
guest_wait_word() { # LIMIT WHAT
        local end=$((SECONDS + $1)) gone=0

        while :; do
                if read -r -t 1 -u "$control" word; then return; fi
                # what it said before it went may still be in the pipe: look once more
                if [ $gone = 1 ]; then guest_failed "the guest died before $2"; fi
                if ! kill -0 "$qemu_pid" 2>/dev/null; then gone=1; fi
                if [ $SECONDS -ge $end ]; then guest_failed "time limit: $1 s passed before $2"; fi
        done
}

guest_failed() { # MESSAGE
        kill -KILL "$qemu_pid" 2>/dev/null || :
        wait "$out_pid" "$err_pid" || :
        if [ -s "$tmp/qemu" ]; then tail -n 5 "$tmp/qemu" >&2; fi
        say "the last lines of its console:"
        tail -n 30 "$console" | tr -d '\r' >&2
        fail "$1"
}

# Sets $status to the command's.
guest_follow() {
        local begin end

        now_ms begin
        guest_wait_word $boot_limit "the command began"
        [ "$word" = begun ] || guest_failed "unexpected word from the guest: $word"
        now_ms end
        verbose "$((end - begin)) ms from QEMU's start to the command's ($accel)"
        guest_wait_word "$timeout" "the command ended"
        [ "$word" = ended ] || guest_failed "unexpected word from the guest: $word"
        now_ms begin
        verbose "$((begin - end)) ms for the command"
        guest_wait_word $finish_limit "all of its output had come"
        case $word in
        exit\ *) status=${word#exit } ;;
        *) guest_failed "unexpected word from the guest: $word" ;;
        esac
        kill -KILL "$qemu_pid" 2>/dev/null || : # it has said all and is turning itself off
        wait "$qemu_pid" 2>/dev/null || :
        wait "$out_pid" "$err_pid" || :
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
                        if [ -d "$f" ] && [ ! -L "$f" ]; then rmdir "$f" 2>/dev/null; else rm -f "$f"; fi
                done
        )
        tar -x --numeric-owner -f "$tmp/changes" -C "$share" --exclude=./.penstock-guest-gone \
                --exclude=.penstock-guest-gone --anchored || fail "could not bring back the changes under /share"
}
