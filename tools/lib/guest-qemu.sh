# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/guest, named at the head
# QEMU for the test guest, and the choice between KVM and emulation. Needs common.sh; expects cache, suite, base,
# memory, cpus, tmp.

# QEMU before 8.1 translated code without locking its page. With two emulated processors the kernel's patching of
# itself (static keys) then ends in "Oops: int3": seen with Debian 12's QEMU 7.2 in one boot of sixteen. So QEMU is
# taken from Debian 13 on every host; it boots the guest faster, too. Only unpacked, it runs with its own libraries.
qemu_suite=trixie
# panic=-1 with -no-reboot: a kernel that panics ends QEMU. no_timer_check: the kernel counts on ticks within a few
# milliseconds to find its timer, and panics ("IO-APIC + timer doesn't work") when a busy host makes the emulator late.
# init_on_alloc=0: Debian's kernel clears each page that it hands out to itself, too; without it, and without the
# byte-wise "rep stosb" (ERMS), which is slow only when emulated, a guest's memory is filled three to five times as fast.
kernel_args="console=ttyS0 loglevel=4 panic=-1 mitigations=off no_timer_check init_on_alloc=0 systemd.condition-needs-update=no TERM=dumb"
kernel_args+=${PENSTOCK_KERNEL_ARGS:+ $PENSTOCK_KERNEL_ARGS}
probe_limit=20

# Makes $cache/qemu-SUITE unless it is there.
qemu_ensure() {
        local dir=$cache/qemu-$qemu_suite

        [ ! -e "$dir" ] || return 0
        rm -rf "$dir.new"
        timed "QEMU" own_mounts mmdebstrap --quiet --variant=extract --include=qemu-system-x86 $qemu_suite "$dir.new" >&2
        mv "$dir.new" "$dir"
}

# Sets qemu to the command without its job. The guest writes to the images, but only into files that QEMU made in
# $tmp and unlinked: each guest starts from the same state and several can run.
qemu_command() { # ACCEL
        local dir=$cache/qemu-$qemu_suite/usr

        qemu=(env "TMPDIR=$tmp"
                "$dir/lib64/ld-linux-x86-64.so.2" --library-path "$dir/lib/x86_64-linux-gnu"
                "$dir/bin/qemu-system-x86_64" -L "$dir/share/qemu" -L "$dir/share/seabios"
                -machine pc -m "$memory" -smp "$cpus"
                -nodefaults -no-user-config -display none -no-reboot
                -kernel "$base/kernel"
                -drive "if=none,id=root,format=raw,cache=unsafe,snapshot=on,file=$base/root.ext4"
                -device "virtio-blk-pci,drive=root,serial=root")
        case $1 in
        kvm) qemu+=(-accel kvm -cpu host) ;;
        tcg) qemu+=(-accel "tcg,thread=multi" -cpu "max,-erms,-fsrm") ;;
        esac
}

# Sets $accel: KVM only if a guest got through on it. It can be there and hang on an instruction that a nested
# hypervisor does not know, so it is tried once a boot of the host, with a time limit that cannot be ignored.
qemu_choose_accel() {
        local verdict

        accel=${PENSTOCK_ACCEL:-}
        case $accel in
        kvm | tcg) return ;;
        '') ;;
        *) fail "PENSTOCK_ACCEL is '$accel', not kvm or tcg" ;;
        esac

        accel=tcg
        if [ ! -w /dev/kvm ]; then return; fi
        verdict=$cache/accel-$suite-$(</proc/sys/kernel/random/boot_id)
        if [ ! -e "$verdict" ]; then
                rm -f "$cache/accel-$suite-"*
                timed "KVM probe" qemu_probe_kvm >"$verdict.new"
                mv "$verdict.new" "$verdict"
        fi
        accel=$(<"$verdict")
}

# Prints what to use.
qemu_probe_kvm() {
        local qemu

        qemu_command kvm
        qemu+=(-initrd "$base/initramfs" -append "$kernel_args penstock.probe" -serial "file:$tmp/probe")
        if timeout -k 2 $probe_limit "${qemu[@]}" </dev/null >"$tmp/probe.qemu" 2>&1 &&
                grep -q 'penstock-guest: probe passed' "$tmp/probe"; then
                echo kvm
        else
                echo tcg
        fi
}
