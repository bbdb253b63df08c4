# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of demo-stage.sh
# The scenes of tools/demo. Each prints a title first, then what happens, and checks what it claims.

mib=1048576

scene_sqlite_over_real_data() {
        local index='/usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*_Packages*' rows wanted seen

        echo "(a) SQLite over real data: apt's own package index"
        types "$index |
    awk -F ': ' -v OFS='\\t' '/^Package:/{p=\$2} /^Section:/{s=\$2} /^Installed-Size:/{k=\$2} /^\$/{print p, s, k; s=k=\"\"}' > packages.tsv
  sqlite3 packages.db 'create table package(name text, section text, installed_kib integer)' '.mode tabs' '.import packages.tsv package'
  ls -lh packages.tsv packages.db"
        types "penstockctl run --language sqlite --database packages.db 'select count(*) from package'"
        seen=$(<"$scratch/out")
        rows=$(bash -c "$index" | grep -c '^Package:')
        check_equal "as many rows as grep counts packages" "$seen" "$rows"
        check "they are tens of thousands" test "$rows" -ge 20000
        types "penstockctl run --language sqlite --database packages.db \\
    'select section, count(*) from package group by section order by count(*) desc, section limit 5'"
        check_equal "the exit status" "$typed_status" 0
        seen=$(<"$scratch/out")
        # sort is stopped by head before it has written all; that is no failure
        wanted=$(bash -c "$index" | awk -F ': ' '/^Section:/{n[$2]++} END{for (s in n) print s "|" n[s]}' |
                LC_ALL=C sort -t '|' -k 2,2nr -k 1,1 | sed -n 1,5p)
        check "the five largest sections are those that awk and sort find" test "$seen" = "$wanted"
        rm -f "$home/packages.db" "$home/packages.tsv"
}

scene_growth_under_pressure() {
        local id

        echo "(b) A query that starts with 64 MiB and needs 600 MiB"
        starts 9 "penstockctl run --language python --stdin 'input(); b = bytearray(600 << 20); print(len(b))'" || return
        id=$started_id
        types "cat /sys/fs/cgroup/penstock.slice/penstock-q$id.service/engine/memory.max"
        check_equal "the kernel's limit before it grows" "$(<"$scratch/out")" $((64 * mib))
        opens 9
        wait "$started_pid" && typed_status=0 || typed_status=$?
        printf '\n(it goes on, and its output is)\n'
        cat "$scratch/9"
        check_equal "the exit status" "$typed_status" 0
        check_equal "the output" "$(<"$scratch/9")" 629145600
        types "penstockctl stats $id"
        printf '\nEach raise, from penstockctl stats --json %s:\n' "$id"
        json "penstockctl stats --json $id" '
for r in d["raise_log"]:
    print("  after %8.3f s  %-28s %4d MiB -> %4d MiB" % (r["at_usec"] / 1e6, r["cause"], r["old_limit_bytes"] >> 20, r["new_limit_bytes"] >> 20))
log = d["raise_log"]
chain = all(a["new_limit_bytes"] == b["old_limit_bytes"] for a, b in zip(log, log[1:]))
good = log and chain and log[0]["old_limit_bytes"] == 64 << 20 and log[-1]["new_limit_bytes"] >= 600 << 20
print("good" if good and d["memory_peak_bytes"] >= 600 << 20 and len(log) == d["raises"] else "bad")' >"$scratch/raises"
        sed '$d' "$scratch/raises"
        check_equal "the raises lead from 64 MiB to 600 MiB or more without a gap" "$(tail -n 1 "$scratch/raises")" good
}

scene_more_than_its_maximum() {
        local first second before pids status

        echo "(c) A query that needs more than its maximum; its neighbours are left alone"
        starts 9 "penstockctl run --language python --stdin 'b = bytearray(30 << 20); input(); print(\"first, unharmed\")'" || return
        first=$started_id started_first=$started_pid
        starts 8 "penstockctl run --language python --stdin 'b = bytearray(30 << 20); input(); print(\"second, unharmed\")'" || return
        second=$started_id
        types 'penstockctl list'
        pids="$(engine_file "$first" cgroup.procs) $(engine_file "$second" cgroup.procs)"
        before=$(awk '/^oom_group_kill/{print $2}' "$slice/memory.events")

        types "penstockctl run --language python --memory-max 256M 'b = bytearray(600 << 20); print(len(b))'; echo \"exit status \$?\""
        status=$(sed -n 's/^exit status //p' "$scratch/out")
        check_equal "the exit status" "$status" 137
        check "the error is MemoryLimitExceeded, with the limit" grep -q 'MemoryLimitExceeded: .*256M' "$scratch/err"
        check_equal "the kernel killed one group" \
                "$(($(awk '/^oom_group_kill/{print $2}' "$slice/memory.events") - before))" 1
        check_equal "the neighbours' processes are the same" \
                "$(engine_file "$first" cgroup.procs) $(engine_file "$second" cgroup.procs)" "$pids"
        opens 9
        opens 8
        wait "$started_first" && status=0 || status=$?
        check_equal "the first neighbour: exit status and output" "$status $(<"$scratch/9")" "0 first, unharmed"
        wait "$started_pid" && status=0 || status=$?
        check_equal "the second neighbour: exit status and output" "$status $(<"$scratch/8")" "0 second, unharmed"
}

scene_twelve_on_four_slots() {
        local budget observer ids status

        echo "(d) Twelve queries of 300 MiB on four slots, in one budget"
        budget=$(busctl get-property org.penstock1 /org/penstock1 org.penstock1.Controller MaxMemoryBytes)
        budget=${budget#t }
        printf 'An observer sums engine/memory.max of all running queries in the kernel, over and over; the budget is %d MiB.\n' \
                $((budget / mib))
        rm -f "$scratch/stop"
        mkfifo "$scratch/stop"
        "$project_dir/tests/guest/observe" "$budget" <"$scratch/stop" >"$scratch/observer" 2>&1 &
        observer=$!
        exec 7>"$scratch/stop"

        cat >"$home/grow.py" <<'END'
import os, time
while not os.path.exists("go"):     # all twelve begin to grow at one sign
    time.sleep(0.05)
b = bytearray(300 << 20)
print(len(b) >> 20, "MiB")
END
        chown "$user:" "$home/grow.py"
        rm -f "$home/go"
        types 'cat grow.py'
        types 'for i in {1..12}; do penstockctl submit --language python --file grow.py; done'
        ids=$(paste -s -d ' ' "$scratch/out")
        # Whose check is done first gets a slot first, so the four need not be those that came first.
        wait_until "four are executing and eight wait" four_execute_and_eight_wait || return
        types 'penstockctl list'
        check_equal "queue positions of those that wait, in the order of their arrival" \
                "$(json 'penstockctl list --json' 'print(*[q["queue_position"] for q in d if q["queue_position"]])')" "1 2 3 4 5 6 7 8"
        types "touch go; for i in $ids; do penstockctl wait \$i && penstockctl results \$i; done"
        check_equal "the exit status" "$typed_status" 0
        check_equal "results" "$(sort "$scratch/out" | uniq -c | sed 's/^ *//')" "12 300 MiB"
        types "penstockctl list; penstockctl done $ids; penstockctl list; rm go grow.py"

        exec 7>&-
        wait $observer && status=0 || status=$?
        echo
        cat "$scratch/observer"
        check_equal "the sum of all limits never passed the budget (the observer's exit status)" "$status" 0
}

four_execute_and_eight_wait() {
        [ "$(json 'penstockctl status --json' 'print(d["executing"], d["queueing"])')" = "4 8" ]
}

scene_units_like_any_other() {
        local unit status

        echo "(e) A running query is a unit like any other"
        starts 9 "penstockctl run --language python --stdin 'b = bytearray(200 << 20); print(1, flush=True); input(); print(2)'" || return
        unit=penstock-q$started_id.service
        wait_until "it has grown" grep -q 1 "$scratch/9" || return
        types "systemd-cgtop --batch --iterations=2 --depth=2 --order=memory penstock.slice"
        check "systemd-cgtop has a row for it" grep -q "penstock.slice/$unit " "$scratch/out"
        types "systemctl status --no-pager $unit"
        check "systemctl says that it is running" grep -q 'Active: active (running)' "$scratch/out"
        check "systemctl tells its memory" grep -q 'Memory: 2' "$scratch/out"
        check "systemctl shows the two groups of it" grep -qE '(engine|worker)$' "$scratch/out"
        types_root "systemctl show --property=Slice,MemoryCurrent,MemoryMax,TasksCurrent,NoNewPrivileges $unit"
        opens 9
        wait "$started_pid" && status=0 || status=$?
        check_equal "its exit status" "$status" 0
        wait_until "its unit is gone" test ! -e "$slice/$unit"
        check "nothing is left of its unit" test ! -e "$slice/$unit"
}
