#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# sqlite-check refuses what cannot be right, and never what the shell would run. Usage: test-sqlite-check.sh PROGRAM
set -u

check=$1
command -v sqlite3 >/dev/null || exit 77
dir=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
db=$dir/sales.db
sqlite3 "$db" 'create table sales(day text, amount int); create view totals as select sum(amount) s from sales;'
failed=0

# expect STATUS SCRIPT [TEXT-IN-THE-MESSAGE [DATABASE]]
expect() {
        message=$(printf '%s' "$2" | "$check" "${4-$db}" 2>&1)
        status=$?
        if [ $status -ne "$1" ] || { [ -n "${3-}" ] && ! printf '%s' "$message" | grep -qF -- "$3"; }; then
                printf 'FAILED: exit %s, not %s, "%s" for:\n%s\n' "$status" "$1" "$message" "$2"
                failed=1
        fi
}

nl='
'
# right
expect 0 ''
expect 0 'select 1'
expect 0 'select amount from sales; select s from totals;'
expect 0 "insert into sales values('x', 1); update sales set amount = 2; delete from sales"
expect 0 "select ?1, :day, \$x, @y from sales"
expect 0 "-- only a comment"
expect 0 "/* ; .tables */ select 1; -- end${nl}.tables${nl}"
expect 0 "select 'a${nl}.not a command${nl}b;' from sales;"
expect 0 "create trigger t after insert on sales begin select 1; select 2; end; select 3;"
expect 0 "begin; explain select 1; explain query plan select amount from sales; commit;"
expect 0 "with recursive c(n) as (select 1 union all select n + 1 from c limit 5) select n from c;"
# wrong
expect 1 'selec 1' 'line 1: near "selec": syntax error'
expect 1 "select 1;${nl}${nl}select amount from where sales;" 'line 3: '
expect 1 "select 1;${nl}select nought from sales;" 'line 2: no such column: nought'
expect 1 "select 1;${nl}select *${nl}from${nl}missing;" 'no such table: missing'
expect 1 'select (1' 'incomplete input'
expect 1 "insert into sales values(1)" 'table sales has 2 columns but 1 values were supplied'
expect 1 'select "unclosed' 'unrecognized token'
expect 1 ".mode csv${nl}.headers on${nl}select * from missing;" 'line 3: no such table'
expect 1 "# a comment of the shell${nl}selec 1" 'line 2'
expect 1 " .tables" 'syntax error'
# depends on the script itself
expect 0 'create table t(x); select x from t;'
expect 0 'create temp view v as select 1 a; select a from v;'
expect 0 "alter table sales add column tax; select tax from sales;"
expect 0 "attach 'x.db' as other; select * from other.t;"
expect 0 "pragma case_sensitive_like = on; select nought from sales;"
expect 0 'drop table sales; create table sales(a); insert into sales values(1);'
expect 0 ".import data.csv raw${nl}select * from raw;"
expect 0 ".open other.db${nl}select * from theirs;"
expect 0 "create table t(x);${nl}.quit${nl}selec"
expect 1 "create table t(x);${nl}selec x from t;" 'line 2: near "selec"'
# the shell's own
expect 0 "select sha3('x'), readfile('x');"
expect 0 'select value from generate_series(1, 3);'
expect 0 "select 1${nl}go${nl}select 2${nl}/${nl}"
expect 0 ".quit${nl}not sql at all"
expect 0 "select nosuch(1)"
# pragmas do nothing here
expect 0 "pragma journal_mode = wal; pragma user_version = 7;"
[ "$(sqlite3 "$db" 'pragma user_version; pragma journal_mode')" = "0${nl}delete" ] || failed=1
# databases
expect 0 'select 1' '' :memory:
expect 1 'select amount from sales' 'no such table' :memory:
expect 1 'select 1' 'there is no database' "$dir/missing.db"
[ ! -e "$dir/missing.db" ] || failed=1
printf 'this is no database, and longer than its header would be ------------------------------------------------' >"$dir/text"
expect 0 'select * from t' '' "$dir/text"
: >"$dir/-empty"
expect 1 'select * from t' 'no such table' "$dir/-empty"
# WAL where no -shm can be made
mkdir "$dir/wal"
sqlite3 "$dir/wal/w.db" 'pragma journal_mode = wal; create table t(x);' >/dev/null
cp "$dir/wal/w.db" "$dir/copy.db"
rm -f "$dir/wal/w.db-wal" "$dir/wal/w.db-shm"
chmod 555 "$dir/wal"
expect 0 'select x from t' '' "$dir/wal/w.db"
chmod 755 "$dir/wal"
# 4 MiB, as one statement and as many
{ printf "select '"; head -c 4194000 /dev/zero | tr '\0' x; printf "';"; } >"$dir/long"
"$check" "$db" "$dir/long" || failed=1
awk 'BEGIN { for (i = 0; i < 200000; i++) print "select " i " from sales;"; print "selec" }' >"$dir/many"
"$check" "$db" "$dir/many" 2>"$dir/message" && failed=1
grep -q 'line 200001: ' "$dir/message" || failed=1
printf 'select 1\0 garbage' >"$dir/nul"
"$check" "$db" "$dir/nul" || failed=1
"$check" "$db" "$dir/nowhere" 2>/dev/null && failed=1
exit $failed
