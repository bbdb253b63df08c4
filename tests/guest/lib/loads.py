# SPDX-License-Identifier: LGPL-2.1-or-later
"""What queries of real languages do to take memory."""

PYTHON = "kept = [(i,) for i in range(2500000)]; print(len(kept))"  # a tuple, an int and a slot for each
SQLITE_CACHE = "pragma temp_store=memory; pragma cache_size=-1000000;"


def sqlite_sort(rows):
    """Takes 5 KiB for each of its ROWS."""
    return f"""{SQLITE_CACHE}
with recursive c(i) as (select 1 union all select i+1 from c where i < {rows})
select count(*), max(length(x)) from (select printf('%01600d', abs(random())) x from c order by x limit {rows} offset 1);
"""


SQLITE_SORT = sqlite_sort(48000)
# SQLite joins what has no index through one that it makes for the query: its hash join.
SQLITE_JOIN = f"""{SQLITE_CACHE}
create temp table a as with recursive c(i) as (select 1 union all select i+1 from c where i < 25000)
  select i k, printf('%01600d', i) v from c;
create temp table b as select k, v from a;
select count(*) from a join b using (k) where a.v <= b.v;
"""
