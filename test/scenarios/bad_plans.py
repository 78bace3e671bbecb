"""Plans that must be refused: the exact words that are printed, the exit code, and nothing changed.

`python3 bad_plans.py` runs the table CASES, `python3 bad_plans.py NAME...` some of it. `--print` shows
what is printed now.
"""
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

from whimbrel import BINARY

SOURCE = "CREATE TABLE a (id TEXT PRIMARY KEY, v TEXT, n INTEGER);\n"
TARGET = "CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT, n INTEGER);\n"
FLAGS = "CREATE TABLE flags (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL);\n"
ROWS = "INSERT INTO a VALUES ('1', 'x', 1), ('2', 'y', 2);\n"
PLAN = """whimbrel: 1
migration: small
stores: {db: "sqlite:${DB}"}
tables:
  - from: db/a
    to: db/b
    create: new.sql
    columns: {id: id, v: v, n: n}
sync: dual
"""
COLUMNS = "{id: id, v: v, n: n}"
WITH_REST_DROP = PLAN.replace("    columns", "    rest: drop\n    columns")
PLAN_ERROR, REFUSED = 2, 3


class Case:
    """`edit` are pairs of texts replaced in the plan; `plan` is a whole one; `text` is what is to be printed."""

    def __init__(self, name, text, code=PLAN_ERROR, edit=(), plan=None, more="", source=SOURCE, target=TARGET,
                 rows=ROWS, capture=False, files=(), verbs=("analyze", "run")):
        self.name, self.text, self.code = name, text.strip("\n"), code
        self.plan = PLAN if plan is None else plan
        for old, new in edit:
            assert old in self.plan, "%s: %r is not in the plan" % (name, old)
            self.plan = self.plan.replace(old, new)
        if capture:
            self.plan = self.plan.replace("sync: dual", "sync: capture")
        self.plan += more
        self.source, self.target, self.rows, self.files, self.verbs = source, target, rows, files, verbs

    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-plan-"))
        connection = sqlite3.connect(folder / "app.db")
        connection.executescript(self.source + self.rows)
        connection.close()
        (folder / "plan.yaml").write_text(self.plan)
        if self.target is not None:
            (folder / "new.sql").write_text(self.target)
        for name, text in self.files:
            (folder / name).write_text(text)
        return folder

    def told(self, folder, verb):
        """Exit code and words, without what changes from run to run: folders and names with a time."""
        environment = dict(os.environ, DB=str(folder / "app.db"))
        environment.pop("UNSET", None)
        command = [BINARY, verb, str(folder / "plan.yaml")] + (["--yes"] if verb == "run" else [])
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120)
        words = (done.stderr + done.stdout).replace(str(folder) + "/", "").replace(str(folder), "FOLDER")
        return done.returncode, words

    def judge(self):
        folder = self.folder()
        try:
            before = everything(folder / "app.db")
            for verb in self.verbs:
                code, words = self.told(folder, verb)
                assert everything(folder / "app.db") == before, "%s changed the database" % verb
                assert code == self.code, "%s gave %d, not %d:\n%s" % (verb, code, self.code, words)
                if self.code == PLAN_ERROR:
                    assert words.rstrip("\n") == self.text, "%s says:\n%s\nwanted:\n%s" % (verb, words, self.text)
                else:
                    assert self.text in words, "%s says:\n%s\nwanted among it:\n%s" % (verb, words, self.text)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def everything(db):
    """The schema and all rows, as Python and SQLite alone see them."""
    connection = sqlite3.connect(db)
    try:
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        tables = [name for kind, name, _, _ in schema if kind == "table"]
        return schema, {t: connection.execute('SELECT * FROM "%s"' % t).fetchall() for t in tables}
    finally:
        connection.close()


CASES = [
    Case("missing_source_table",
         edit=[("db/a", "db/order")], source=SOURCE.replace("TABLE a", "TABLE orders"), rows="", text=r'''
error: there is no table `order`
  at plan.yaml:5:11
      5 |   - from: db/order
        |           ^~~~~~~~
hint: did you mean `orders`?
safe: nothing was changed
'''),
    Case("missing_source_table_without_a_near_name", edit=[("db/a", "db/zzz")], text=r'''
error: there is no table `zzz`
  at plan.yaml:5:11
      5 |   - from: db/zzz
        |           ^~~~~~
hint: its tables: a
safe: nothing was changed
'''),
    Case("missing_source_column_under_rest_drop",
         edit=[("{id: id, v: v", "{id: idd, v: v")], plan=WITH_REST_DROP, text=r'''
error: a has no column `idd`
  at plan.yaml:9:19
      9 |     columns: {id: idd, v: v, n: n}
        |                   ^~~
hint: did you mean `id`?
safe: nothing was changed
'''),
    Case("missing_source_column_without_a_near_name", edit=[("v: v", "v: whatever")], plan=WITH_REST_DROP, text=r'''
error: a has no column `whatever`
  at plan.yaml:9:26
      9 |     columns: {id: id, v: whatever, n: n}
        |                          ^~~~~~~~
hint: its columns: id, v, n
safe: nothing was changed
'''),
    Case("missing_column_in_same", edit=[(COLUMNS, "{id: id}\n    same: [v, nn]")], plan=WITH_REST_DROP, text=r'''
error: the plan has 2 mistakes
b has no column `nn`
  at plan.yaml:10:15
     10 |     same: [v, nn]
        |               ^~
  hint: did you mean `n`?
a has no column `nn`
  at plan.yaml:10:15
     10 |     same: [v, nn]
        |               ^~
  hint: did you mean `n`?
safe: nothing was changed
'''),
    Case("missing_target_column", edit=[("n: n", "nn: n")], plan=WITH_REST_DROP, text=r'''
error: b has no column `nn`
  at plan.yaml:9:29
      9 |     columns: {id: id, v: v, nn: n}
        |                             ^~
hint: did you mean `n`?
safe: nothing was changed
'''),
    Case("column_that_nothing_mentions",
         edit=[("    columns: {id: id, v: v, n: n}", "    columns: {id: id, v: v}\n    rest: forbid")], text=r'''
error: nothing mentions the column `n` of a
  at plan.yaml:9:11
      9 |     rest: forbid
        |           ^~~~~~
hint: map it, add it to `same`, or say `rest: drop` to leave such columns behind
safe: nothing was changed
'''),
    Case("column_mapped_twice", edit=[("n: n}", "n: n, v: n}")], text=r'''
error: `v` is said twice in `columns`
  at plan.yaml:8:35
      8 |     columns: {id: id, v: v, n: n, v: n}
        |                                   ^
hint: keep one of them
safe: nothing was changed
'''),
    Case("column_mapped_and_said_to_be_the_same", edit=[("n: n}", "n: n}\n    same: [v]")], text=r'''
error: `v` is mapped twice: under `columns` and under `same`
  at plan.yaml:9:12
      9 |     same: [v]
        |            ^
hint: keep one of them
safe: nothing was changed
'''),
    Case("not_null_column_without_a_value",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT, n INTEGER, must TEXT NOT NULL);", text=r'''
error: b.must is NOT NULL without a default, and the plan does not give it a value
  at plan.yaml:6:9
      6 |     to: db/b
        |         ^~~~
hint: add `must:` under `columns`
safe: nothing was changed
'''),
    Case("computed_column_is_written",
         edit=[(COLUMNS, "{id: id, v: v, g: n}")],
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT, n INTEGER, g AS (n + 1));",
         text=r'''
error: b.g is computed by the database
  at plan.yaml:8:29
      8 |     columns: {id: id, v: v, g: n}
        |                             ^
hint: leave it out of the mapping
safe: nothing was changed
'''),
    Case("tab_in_the_indentation", edit=[("    to: db/b", "\tto: db/b")], text=r'''
error: this is no YAML: illegal tab when looking for indentation
  at plan.yaml:6:1
      6 | \tto: db/b
        | ^
hint: check the indentation and the quotes at this place
safe: nothing was changed
'''),
    Case("brace_not_closed", edit=[("n: n}", "n: n")], text=r'''
error: this is no YAML: end of map flow not found
  at plan.yaml:9:5
      9 | sync: dual
        |     ^
hint: a `{` or `[` is not closed, or a `,` is missing
safe: nothing was changed
'''),
    Case("list_instead_of_a_map", plan="- a\n- b\n", text=r'''
error: a plan is a YAML map
  at plan.yaml:1:1
      1 | - a
        | ^
hint: begin with `whimbrel: 1`
safe: nothing was changed
'''),
    Case("empty_plan", plan="", text=r'''
error: a plan is a YAML map
  at plan.yaml:1:1
      1 |
        | ^
hint: begin with `whimbrel: 1`
safe: nothing was changed
'''),
    Case("key_said_twice_at_the_top", more="sync: capture\n", text=r'''
error: `sync` is said twice in a plan
  at plan.yaml:10:1
     10 | sync: capture
        | ^~~~
hint: keep one of them
safe: nothing was changed
'''),
    Case("stores_without_the_alias", edit=[("to: db/b", "to: dbb/b")], text=r'''
error: no store is called `dbb`
  at plan.yaml:6:9
      6 |     to: dbb/b
        |         ^~~~~
hint: did you mean `db`?
safe: nothing was changed
'''),
    Case("table_without_a_store", edit=[("to: db/b", "to: b")], text=r'''
error: `b` is no table of a store
  at plan.yaml:6:9
      6 |     to: b
        |         ^
hint: write ALIAS/TABLE, with the alias from `stores:`
safe: nothing was changed
'''),
    Case("store_of_an_unknown_kind", edit=[("sqlite:", "mysql:")], text=r'''
error: no store has a URL like this: mysql:…
  at plan.yaml:3:14
      3 | stores: {db: "mysql:${DB}"}
        |              ^~~~~~~~~~~~~
hint: write sqlite:PATH
safe: nothing was changed
'''),
    Case("store_that_does_not_answer", code=1, edit=[("sqlite:${DB}", "postgresql://u:secret@127.0.0.1:1/db")], text=r'''
error: the PostgreSQL server does not answer: connection to server at "127.0.0.1", port 1 failed: Connection refused  Is the server running on that host and accepting TCP/IP connections?
  at plan.yaml:3:14
      3 | stores: {db: "postgresql://u:***@127.0.0.1:1/db"}
        |              ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
hint: try the same URL with psql
safe: nothing was changed
'''),
    Case("limits_of_the_wrong_type", more="limits: 5\n", text=r'''
error: `limits` must be a map
  at plan.yaml:10:9
     10 | limits: 5
        |         ^
hint: its keys: batch_size, workers, rows_per_s, rcu, wcu, share, raise, replica_lag, wal_kept
safe: nothing was changed
'''),
    Case("duration_that_is_none", more="cutover: {max_hold: soon}\n", text=r'''
error: `max_hold` must be a duration
  at plan.yaml:10:21
     10 | cutover: {max_hold: soon}
        |                     ^~~~
hint: like 250ms, 1s, 5m, 2h, 7d
safe: nothing was changed
'''),
    Case("hold_too_short", more="cutover: {max_hold: 1ms}\n", text=r'''
error: nothing can be switched in so short a time
  at plan.yaml:10:21
     10 | cutover: {max_hold: 1ms}
        |                     ^~~
safe: nothing was changed
'''),
    Case("word_misspelt", edit=[("sync: dual", "sync: dul")], text=r'''
error: `sync` cannot be `dul`
  at plan.yaml:9:7
      9 | sync: dul
        |       ^~~
hint: did you mean `dual`?
safe: nothing was changed
'''),
    Case("name_that_is_no_folder", edit=[("migration: small", "migration: a/b")], text=r'''
error: `a/b` cannot name a migration
  at plan.yaml:2:12
      2 | migration: a/b
        |            ^~~
hint: letters, digits, - _ and . only: it becomes the name of a folder
safe: nothing was changed
'''),
    Case("rest_of_an_unknown_kind", edit=[("    columns", "    rest: ignore\n    columns")], text=r'''
error: `rest` cannot be `ignore`
  at plan.yaml:8:11
      8 |     rest: ignore
        |           ^~~~~~
hint: one of forbid, copy, drop
safe: nothing was changed
'''),
    Case("unknown_key_at_the_top", more="tabels: []\n", text=r'''
error: a plan has no key `tabels`
  at plan.yaml:10:1
     10 | tabels: []
        | ^~~~~~
hint: did you mean `tables`?
safe: nothing was changed
'''),
    Case("unknown_key_of_a_table", edit=[("    columns", "    colums: {}\n    columns")], text=r'''
error: a table has no key `colums`
  at plan.yaml:8:5
      8 |     colums: {}
        |     ^~~~~~
hint: did you mean `columns`?
safe: nothing was changed
'''),
    Case("unknown_key_of_limits", more="limits: {batchsize: 1}\n", text=r'''
error: `limits` has no key `batchsize`
  at plan.yaml:10:10
     10 | limits: {batchsize: 1}
        |          ^~~~~~~~~
hint: did you mean `batch_size`?
safe: nothing was changed
'''),
    Case("unknown_key_of_backup", more="backup: {off: [source], to: 'file:x'}\n", text=r'''
error: `backup` has no key `off`
  at plan.yaml:10:10
     10 | backup: {off: [source], to: 'file:x'}
        |          ^~~
hint: did you mean `of`?
safe: nothing was changed
'''),
    Case("unknown_key_of_cutover", more="cutover: {maxhold: 1s}\n", text=r'''
error: `cutover` has no key `maxhold`
  at plan.yaml:10:11
     10 | cutover: {maxhold: 1s}
        |           ^~~~~~~
hint: did you mean `max_hold`?
safe: nothing was changed
'''),
    Case("unknown_key_of_a_switch", more="cutover: {switches: [{rwo: db/flags}]}\n", text=r'''
error: a switch has no key `rwo`
  at plan.yaml:10:23
     10 | cutover: {switches: [{rwo: db/flags}]}
        |                       ^~~
hint: did you mean `row`?
safe: nothing was changed
'''),
    Case("unknown_key_of_a_check", more="checks: [{att: after, sql: 'SELECT 1', expect: 1}]\n", text=r'''
error: a check has no key `att`
  at plan.yaml:10:11
     10 | checks: [{att: after, sql: 'SELECT 1', expect: 1}]
        |           ^~~
hint: did you mean `at`?
safe: nothing was changed
'''),
    Case("unknown_key_of_finish", more="finish: {afer: 1d}\n", text=r'''
error: `finish` has no key `afer`
  at plan.yaml:10:10
     10 | finish: {afer: 1d}
        |          ^~~~
hint: did you mean `after`?
safe: nothing was changed
'''),
    Case("unknown_key_of_log", more="log: {lvl: debug}\n", text=r'''
error: `log` has no key `lvl`
  at plan.yaml:10:7
     10 | log: {lvl: debug}
        |       ^~~
hint: did you mean `level`?
safe: nothing was changed
'''),
    Case("unknown_key_of_verify", more="verify: {ful: true}\n", text=r'''
error: `verify` has no key `ful`
  at plan.yaml:10:10
     10 | verify: {ful: true}
        |          ^~~
hint: did you mean `full`?
safe: nothing was changed
'''),
    Case("unknown_key_of_a_store", edit=[('"sqlite:${DB}"', '{ulr: "sqlite:${DB}"}')], text=r'''
error: `db` has no key `ulr`
  at plan.yaml:3:15
      3 | stores: {db: {ulr: "sqlite:${DB}"}}
        |               ^~~
hint: did you mean `url`?
safe: nothing was changed
'''),
    Case("unknown_function", edit=[("v: v", "v: {coalese: [v, n]}")], text=r'''
error: there is no function `coalese`
  at plan.yaml:8:27
      8 |     columns: {id: id, v: {coalese: [v, n]}, n: n}
        |                           ^~~~~~~
hint: did you mean `coalesce`?
safe: nothing was changed
'''),
    Case("unknown_filter", edit=[("v: v", "v: '{v|lowr}'")], text=r'''
error: there is no filter `lowr`
  at plan.yaml:8:27
      8 |     columns: {id: id, v: '{v|lowr}', n: n}
        |                           ^
hint: did you mean `lower`?
safe: nothing was changed
'''),
    Case("function_of_a_later_release", edit=[("v: v", "v: {sql: 'v||n'}")], text=r'''
error: `sql` is part of the grammar, but not yet of this release
  at plan.yaml:8:27
      8 |     columns: {id: id, v: {sql: 'v||n'}, n: n}
        |                           ^~~
hint: leave it out, or wait for a release that carries it out
safe: nothing was changed
'''),
    Case("empty_text_for_a_column", edit=[("v: v", "v: ''")], text=r'''
error: an empty text is no column name
  at plan.yaml:8:26
      8 |     columns: {id: id, v: '', n: n}
        |                          ^~
hint: say `{const: ""}` for the value
safe: nothing was changed
'''),
    Case("list_for_a_value", edit=[("v: v", "v: [a]")], text=r'''
error: a list is no value
  at plan.yaml:8:26
      8 |     columns: {id: id, v: [a], n: n}
        |                          ^
hint: say `json: [...]` for a document
safe: nothing was changed
'''),
    Case("cast_to_an_unknown_type", edit=[("v: v", "v: {cast: v, to: number}")], text=r'''
error: `to` cannot be `number`
  at plan.yaml:8:40
      8 |     columns: {id: id, v: {cast: v, to: number}, n: n}
        |                                        ^~~~~~
hint: one of integer, real, text, bytes
safe: nothing was changed
'''),
    Case("cast_to_nothing", edit=[("v: v", "v: {cast: v}")], text=r'''
error: `cast` needs `to:`
  at plan.yaml:8:26
      8 |     columns: {id: id, v: {cast: v}, n: n}
        |                          ^
hint: one of integer, real, text, bytes
safe: nothing was changed
'''),
    Case("a_word_that_makes_it_a_copy",
         edit=[("    columns", "    on_conflict: overwrite\n    columns")], text=r'''
error: `where`, `limit`, `sample`, `mask`, `on_conflict` or `orphans` make this a copy, which follows nobody while it runs
  at plan.yaml:10:7
     10 | sync: dual
        |       ^~~~
hint: say `sync: none`
safe: nothing was changed
'''),
    Case("error_word_unknown", edit=[("    columns", "    on_error: ignore\n    columns")], text=r'''
error: `on_error` cannot be `ignore`
  at plan.yaml:8:15
      8 |     on_error: ignore
        |               ^~~~~~
hint: one of fail, reject
safe: nothing was changed
'''),
    Case("backup_without_a_place", more="backup: {of: [source]}\n", text=r'''
error: `backup` needs `to:`
  at plan.yaml:10:9
     10 | backup: {of: [source]}
        |         ^
hint: like "file:backup", below the state folder
safe: nothing was changed
'''),
    Case("backup_to_no_bucket", more="backup: {of: [source], to: 's3:x'}\n", text=r'''
error: `s3:x` names no bucket
  at plan.yaml:10:28
     10 | backup: {of: [source], to: 's3:x'}
        |                            ^~~~~~
hint: like "s3://BUCKET/PREFIX"
safe: nothing was changed
'''),
    Case("view_without_a_free_name", more="finish: {view: true}\n", text=r'''
error: a view cannot take the old table's name while the table keeps it
  at plan.yaml:10:16
     10 | finish: {view: true}
        |                ^~~~
hint: add `rename_source_to:`, or `keep_source: false`
safe: nothing was changed
'''),
    Case("switch_column_missing",
         more="cutover: {switches: [{row: db/flags, key: {name: x}, set: {enable: 1}}]}\n", source=SOURCE + FLAGS,
         text=r'''
error: flags has no column `enable`
  at plan.yaml:10:22
     10 | cutover: {switches: [{row: db/flags, key: {name: x}, set: {enable: 1}}]}
        |                      ^
hint: did you mean `enabled`?
safe: nothing was changed
'''),
    Case("switch_without_its_key",
         more="cutover: {switches: [{row: db/flags, set: {enabled: 1}}]}\n", source=SOURCE + FLAGS, text=r'''
error: a row switch needs `key:`
  at plan.yaml:10:22
     10 | cutover: {switches: [{row: db/flags, set: {enabled: 1}}]}
        |                      ^
hint: like {column: value}
safe: nothing was changed
'''),
    Case("target_file_missing", edit=[("new.sql", "neww.sql")], text=r'''
error: there is no file neww.sql
  at plan.yaml:7:13
      7 |     create: neww.sql
        |             ^~~~~~~~
hint: files a plan reads are relative to the plan; `exists` and `like-source` are words
safe: nothing was changed
'''),
    Case("target_is_a_view", source=SOURCE + "CREATE VIEW b AS SELECT * FROM a;", text=r'''
error: `b` is a view, not a table
  at plan.yaml:6:9
      6 |     to: db/b
        |         ^~~~
hint: only tables are moved
safe: nothing was changed
'''),
    Case("source_is_a_view",
         source=SOURCE.replace("TABLE a", "TABLE a0") + "CREATE VIEW a AS SELECT * FROM a0;", rows="", text=r'''
error: `a` is a view, not a table
  at plan.yaml:5:11
      5 |   - from: db/a
        |           ^~~~
hint: only tables are moved
safe: nothing was changed
'''),
    Case("target_must_exist", edit=[("new.sql", "exists")], text=r'''
error: there is no table `b`
  at plan.yaml:6:9
      6 |     to: db/b
        |         ^~~~
hint: name the file that makes it: `create: FILE.sql`; did you mean `a`?
safe: nothing was changed
'''),
    Case("source_and_target_are_one", edit=[("db/b", "db/a")], text=r'''
error: source and target are the same table
  at plan.yaml:6:9
      6 |     to: db/a
        |         ^~~~
safe: nothing was changed
'''),
    Case("source_and_target_are_one_but_for_case", edit=[("db/b", "db/A")], text=r'''
error: source and target are the same table
  at plan.yaml:6:9
      6 |     to: db/A
        |         ^~~~
safe: nothing was changed
'''),
    Case("source_without_a_key", source="CREATE TABLE a (id TEXT, v TEXT, n INTEGER);", text=r'''
error: a has no key by which its rows are told apart
  at plan.yaml:5:5
      5 |   - from: db/a
        |     ^
hint: give it a primary key, or a unique index over columns that are NOT NULL
safe: nothing was changed
'''),
    Case("key_from_what_is_no_key", edit=[(COLUMNS, "{id: v, v: id, n: n}")], text=r'''
error: the key column `id` of b would follow from `v`, which is no key of a
  at plan.yaml:5:5
      5 |   - from: db/a
        |     ^
hint: rows could change places while they are moved: map keys from keys
safe: nothing was changed
'''),
    Case("key_that_nothing_gives", edit=[(COLUMNS, "{v: v, n: n}\n    rest: drop")], text=r'''
error: nothing gives the key column `id` of b
  at plan.yaml:5:5
      5 |   - from: db/a
        |     ^
hint: map it from the source's key
safe: nothing was changed
'''),
    Case("key_that_two_rows_could_share", edit=[("{id: id,", "{id: '{id|lower}',")], text=r'''
error: the key column `id` of a does not follow from the key of b
  at plan.yaml:5:5
      5 |   - from: db/a
        |     ^
hint: a row has to be found from both sides: copy the key, or put it into a template with one insert
safe: nothing was changed
'''),
    Case("two_tables_of_one_name",
         edit=[("sync: dual", "  - from: db/a\n    to: db/c\n    create: c.sql\n"
                              "    columns: {id: id, v: v, n: n}\nsync: dual")],
         text=r'''
error: the plan has 2 mistakes
two tables are called `a`
  at plan.yaml:9:5
      9 |   - from: db/a
        |     ^
  hint: give one of them `as:`
there is no file c.sql
  at plan.yaml:11:13
     11 |     create: c.sql
        |             ^~~~~
  hint: files a plan reads are relative to the plan; `exists` and `like-source` are words
safe: nothing was changed
'''),
    Case("no_tables", plan=PLAN[:PLAN.index("tables:")] + "tables: []\n", text=r'''
error: the plan moves no tables
  at plan.yaml:4:9
      4 | tables: []
        |         ^
hint: add `tables:` with a list of {from: ALIAS/TABLE, to: ALIAS/TABLE}
safe: nothing was changed
'''),
    Case("table_without_a_target", edit=[("    to: db/b\n", "")], text=r'''
error: a table needs `to:`
  at plan.yaml:5:5
      5 |   - from: db/a
        |     ^
hint: like ALIAS/TABLE
safe: nothing was changed
'''),
    Case("several_mistakes_of_grammar",
         edit=[("sync: dual", "sync: dul"), ("new.sql", "new.sql\n    indexs: after")], more="limits: {batchsize: 1}\n",
         text=r'''
error: the plan has 3 mistakes
a table has no key `indexs`
  at plan.yaml:8:5
      8 |     indexs: after
        |     ^~~~~~
  hint: did you mean `indexes`?
`sync` cannot be `dul`
  at plan.yaml:10:7
     10 | sync: dul
        |       ^~~
  hint: did you mean `dual`?
`limits` has no key `batchsize`
  at plan.yaml:11:10
     11 | limits: {batchsize: 1}
        |          ^~~~~~~~~
  hint: did you mean `batch_size`?
safe: nothing was changed
'''),
    Case("several_mistakes_of_columns",
         edit=[("v: v", "v: ww"), ("n: n", "nn: n"), ("    columns", "    rest: drop\n    columns")],
         more="cutover: {switches: [{row: db/flag, key: {name: x}, set: {enabled: 1}}]}\n", source=SOURCE + FLAGS,
         text=r'''
error: the plan has 3 mistakes
a has no column `ww`
  at plan.yaml:9:26
      9 |     columns: {id: id, v: ww, nn: n}
        |                          ^~
  hint: its columns: id, v, n
b has no column `nn`
  at plan.yaml:9:30
      9 |     columns: {id: id, v: ww, nn: n}
        |                              ^~
  hint: did you mean `n`?
the switch's table is missing: there is no table `flag`
  at plan.yaml:11:28
     11 | cutover: {switches: [{row: db/flag, key: {name: x}, set: {enabled: 1}}]}
        |                            ^~~~~~~
  hint: did you mean `flags`?
safe: nothing was changed
'''),
    Case("switch_table_missing",
         more="cutover: {switches: [{row: db/flag, key: {name: x}, set: {enabled: 1}}]}\n", source=SOURCE + FLAGS,
         text=r'''
error: the switch's table is missing: there is no table `flag`
  at plan.yaml:10:28
     10 | cutover: {switches: [{row: db/flag, key: {name: x}, set: {enabled: 1}}]}
        |                            ^~~~~~~
hint: did you mean `flags`?
safe: nothing was changed
'''),
    Case("column_mapped_twice_but_for_case", edit=[("n: n}", "n: n, V: id}")], text=r'''
error: `v` is mapped twice: names are matched without regard to case
  at plan.yaml:8:35
      8 |     columns: {id: id, v: v, n: n, V: id}
        |                                   ^
hint: keep one of them
safe: nothing was changed
'''),
    Case("two_tables_into_one_target",
         source=SOURCE + SOURCE.replace("TABLE a", "TABLE c"),
         edit=[("sync: dual", "  - from: db/c\n    to: db/b\n    create: new.sql\n"
                              "    columns: {id: id, v: v, n: n}\nsync: dual")],
         text=r'''
error: the plan has 2 mistakes
a row of `a` and one of `c` could have the same key in b
  at plan.yaml:9:5
      9 |   - from: db/c
        |     ^
  hint: let a key column of each begin with a text of its own, like "ORDER#{id}", or give each a constant there, or a constant in another column by which rows are told apart
rows that get another shape cannot be kept in step by links
  at plan.yaml:13:7
     13 | sync: dual
        |       ^~~~
  hint: say `sync: capture`
safe: nothing was changed
'''),
    Case("target_is_the_source_of_another_table",
         source=SOURCE + TARGET + TARGET.replace("TABLE b", "TABLE c"), capture=True,
         edit=[("new.sql", "exists"), ("sync: dual", "  - from: db/b\n    to: db/c\n    create: exists\n"
                                                     "    columns: {id: id, v: v, n: n}\nsync: dual")],
         text=r'''
error: db/b is the source of `b` as well
  at plan.yaml:6:9
      6 |     to: db/b
        |         ^~~~
hint: move one after the other, in two migrations
safe: nothing was changed
'''),
    Case("source_is_target_through_two_aliases",
         capture=True, edit=[('{db: "sqlite:${DB}"}', '{db: "sqlite:${DB}", other: "sqlite:${DB}"}'),
                             ("to: db/b", "to: other/a"), ("new.sql", "exists")],
         text=r'''
error: source and target are the same table, by two names of one store
  at plan.yaml:6:9
      6 |     to: other/a
        |         ^~~~~~~
hint: name another table, or another database
safe: nothing was changed
'''),
    Case("second_document", more="---\nwhimbrel: 1\n", text=r'''
error: a second document begins here, and a plan is one
  at plan.yaml:10:1
     10 | ---
        | ^
hint: take the line with `---` away, or write it into a file of its own
safe: nothing was changed
'''),
    Case("target_file_with_rows", target=TARGET + "INSERT INTO b VALUES ('x', 'y', 1);\n", text=r'''
error: new.sql:2:1: the file may make the table, its indexes and triggers, and nothing else
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
hint: rows come from the source; take this statement away
safe: nothing was changed
'''),
    Case("switch_row_missing",
         source=SOURCE + FLAGS, more="cutover: {switches: [{row: db/flags, key: {name: x}, set: {enabled: 1}}]}\n",
         text=r'''
error: flags has no row with the key 'x'
  at plan.yaml:10:22
     10 | cutover: {switches: [{row: db/flags, key: {name: x}, set: {enabled: 1}}]}
        |                      ^
hint: insert it, or say `create: true` to have it made
safe: nothing was changed
'''),
    Case("check_with_bad_sql", more="checks: [{at: after, sql: 'SELEC 1', expect: 1}]\n", text=r'''
error: the store does not understand this check: app.db: near "SELEC": syntax error
  at plan.yaml:10:27
     10 | checks: [{at: after, sql: 'SELEC 1', expect: 1}]
        |                           ^~~~~~~~~
hint: try it by hand first
safe: nothing was changed
'''),
    Case("name_for_the_archive_is_taken",
         source=SOURCE + "CREATE TABLE old_a (x);", more="finish: {after: 0s, rename_source_to: old_a}\n", text=r'''
error: the archive cannot be called `old_a`: the name is taken
  at plan.yaml:10:39
     10 | finish: {after: 0s, rename_source_to: old_a}
        |                                       ^~~~~
hint: the archive needs a name of its own
safe: nothing was changed
'''),
    Case("missing_source_column", edit=[("v: v", "v: vv")], text=r'''
error: a has no column `vv`
  at plan.yaml:8:26
      8 |     columns: {id: id, v: vv, n: n}
        |                          ^~
hint: did you mean `v`?
safe: nothing was changed
'''),
    Case("target_file_with_a_syntax_error",
         target="-- the new table\n" + TARGET + "CREATE INDX x ON b (v);\n", text=r'''
error: new.sql:3:8: near "INDX": syntax error
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
safe: nothing was changed
'''),
    Case("target_file_makes_another_table", target="CREATE TABLE c (id TEXT PRIMARY KEY);\n", text=r'''
error: new.sql:1:1: the file makes `c`, and not `b`
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
hint: it has to hold CREATE TABLE "b" (…)
safe: nothing was changed
'''),
    Case("target_file_is_empty", target="", text=r'''
error: new.sql:1:1: the file does not make `b`
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
hint: it has to hold CREATE TABLE "b" (…)
safe: nothing was changed
'''),
    # What only the database, or only the rows, can tell.
    Case("database_missing", code=REFUSED, edit=[("${DB}", "${DB}.nothing")], text="""
error: there is no database app.db.nothing
  at plan.yaml:3:14
      3 | stores: {db: "sqlite:${DB}.nothing"}
        |              ^~~~~~~~~~~~~~~~~~~~~~
hint: a database is never created by a migration: check the path
safe: nothing was changed
"""),
    Case("target_with_other_rows", code=REFUSED, source=SOURCE + TARGET + "INSERT INTO b VALUES ('9', 'z', 9);",
         text="""
  refusal     db/b has 1 row already
"""),
    Case("target_with_equal_keys_and_other_values", code=REFUSED,
         source=SOURCE + TARGET + "INSERT INTO b VALUES ('1', 'other', 9);", text="""
  refusal     db/b has 1 row already
"""),
    Case("null_in_the_rows_meets_not_null", code=REFUSED, capture=True,
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT NOT NULL, n INTEGER);",
         rows="INSERT INTO a VALUES ('1', 'x', 1), ('2', NULL, 2), ('3', NULL, 3);", text="""
  refused     2 rows, null into v:
                key '2': b.v is NOT NULL and would get a null
                key '3': b.v is NOT NULL and would get a null
  hint        correct these rows, give `if_null:` or another function, or say `on_error: reject`
"""),
    Case("key_is_null", code=REFUSED, rows=ROWS + "INSERT INTO a VALUES (NULL, 'x', 1);", text="""
  refusal     1 row of a has a null in its key
              hint: give them a key, or delete them: rows without a key cannot be told apart
"""),
    Case("text_that_the_type_would_change", code=REFUSED, capture=True,
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v INTEGER, n INTEGER);",
         rows="INSERT INTO a VALUES ('1', '7', 1), ('2', '007', 2);", text="""
  refused     1 row, storing b.v:
                key '2': '007' would be changed by a column of type NUMERIC
"""),
    Case("cast_that_a_value_refuses", code=REFUSED, capture=True,
         edit=[("n: n", "n: {cast: v, to: integer}"), ("v: v, ", "")],
         plan=WITH_REST_DROP,
         rows="INSERT INTO a VALUES ('1', '7', 1), ('2', 'seven', 2);", text="""
  refused     1 row, making b.n:
                key '2': 'seven' is no integer that would come back unchanged
  hint        correct these rows, give `if_null:` or another function, or say `on_error: reject`
"""),
    # What a trigger would make fail for the application.
    Case("dual_into_not_null", code=REFUSED, rows="",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT NOT NULL, n INTEGER);", text="""
  refusal     b.v is NOT NULL, and v can be null: an old writer's INSERT would fail
              hint: add `if_null:` to `v`
"""),
    Case("dual_into_a_check", code=REFUSED, rows="",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT CHECK (length(v) < 3), n INTEGER);", text="""
  refusal     b has a CHECK: a write to a that breaks it would fail
              hint: drop the CHECK until the migration is finished, or say `sync: capture`
"""),
    Case("dual_into_a_unique_column", code=REFUSED, rows="",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT UNIQUE, n INTEGER);", text="""
  refusal     b is unique over (v), and a does not promise that: a write could fail
              hint: make that index after the migration is finished, or say `sync: capture`
"""),
    Case("dual_into_a_unique_index", code=REFUSED, rows="", target=TARGET + "CREATE UNIQUE INDEX both ON b (v, n);",
         text="""
  refusal     b is unique over (v, n), and a does not promise that: a write could fail
              hint: make that index after the migration is finished, or say `sync: capture`
"""),
    Case("dual_into_a_strict_table", code=REFUSED, rows="",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT, n INTEGER) STRICT;", text="""
  refusal     b is STRICT, and a value of another type would make a write fail: id (id) into TEXT, v (v) into TEXT, n (n) into INTEGER
              hint: make b STRICT after the migration, or say `sync: capture`
"""),
    Case("dual_into_a_foreign_key", code=REFUSED, rows="", source=SOURCE + "CREATE TABLE p (id TEXT PRIMARY KEY);",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT REFERENCES p (id), n INTEGER);", text="""
  refusal     b refers to p, and a does not: a write could fail where foreign keys are on
              hint: add the foreign key after the migration is finished, or say `sync: capture`
"""),
    Case("dual_with_a_function_that_can_refuse", code=REFUSED, rows="", edit=[("v: v", "v: {cast: v, to: integer}")],
         text="""
  refusal     `v` (v as integer) can refuse a value, and a trigger must not
              hint: say `sync: capture`: then such rows are refused or set aside outside of the write
"""),
    Case("dual_with_rows_set_aside", code=REFUSED, edit=[("    columns", "    on_error: reject\n    columns")], text="""
  refusal     `on_error: reject` cannot be kept under `sync: dual`: a trigger refuses nothing
              hint: say `sync: capture`
"""),
    Case("dual_without_a_way_back", code=REFUSED, rows="", edit=[(COLUMNS, "{id: id, n: n}\n    rest: drop")],
         source="CREATE TABLE a (id TEXT PRIMARY KEY, v TEXT NOT NULL, n INTEGER);", text="""
  refusal     a.v is NOT NULL without a default, and nothing leads back to it: every INSERT on the new side would fail
              hint: map it, or give it a default
"""),
    Case("several_refusals_at_once", code=REFUSED, rows=ROWS + "INSERT INTO a VALUES (NULL, NULL, 1);",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT NOT NULL UNIQUE, n INTEGER CHECK (n > 0));", text="""
  refusal     1 row of a has a null in its key
              hint: give them a key, or delete them: rows without a key cannot be told apart
  refusal     b.v is NOT NULL, and v can be null: an old writer's INSERT would fail
              hint: add `if_null:` to `v`
  refusal     b has a CHECK: a write to a that breaks it would fail
              hint: drop the CHECK until the migration is finished, or say `sync: capture`
  refusal     b is unique over (v), and a does not promise that: a write could fail
              hint: make that index after the migration is finished, or say `sync: capture`
"""),
    Case("row_that_breaks_a_check", code=REFUSED, capture=True,
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT CHECK (length(v) < 3), n INTEGER);",
         rows="INSERT INTO a VALUES ('1', 'x', 1), ('2', 'too long', 2);", text="""
  refused     1 row, CHECK constraint failed: length(v) < 3:
                key '2': the target would not take it: CHECK constraint failed: length(v) < 3
  hint        the target would not take these rows: correct them, map them otherwise, or correct the constraint
"""),
    Case("rows_that_break_a_unique_column", code=REFUSED, capture=True,
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT UNIQUE, n INTEGER);",
         rows="INSERT INTO a VALUES ('1', 'x', 1), ('2', 'x', 2);", text="""
  refused     1 row, UNIQUE constraint failed: b.v:
                key '2': the target would not take it: UNIQUE constraint failed: b.v
  hint        the target would not take these rows: correct them, map them otherwise, or correct the constraint
"""),
    Case("rows_that_break_a_unique_index", code=REFUSED, capture=True,
         target=TARGET + "CREATE UNIQUE INDEX i ON b (lower(v));",
         rows="INSERT INTO a VALUES ('1', 'x', 1), ('2', 'X', 2);", text="""
  refused     1 row, UNIQUE constraint failed: index 'i':
                key '2': the target would not take it: UNIQUE constraint failed: index 'i'
  hint        the target would not take these rows: correct them, map them otherwise, or correct the constraint
"""),
    Case("keys_that_meet_in_the_target", code=REFUSED, capture=True,
         target="CREATE TABLE b (id TEXT COLLATE NOCASE PRIMARY KEY, v TEXT, n INTEGER);",
         rows="INSERT INTO a VALUES ('k', 'x', 1), ('K', 'y', 2);", text="""
  refused     1 row, UNIQUE constraint failed: b.id:
                key 'k': the target would not take it: UNIQUE constraint failed: b.id
  hint        the target would not take these rows: correct them, map them otherwise, or correct the constraint
"""),
    Case("value_of_the_wrong_type_for_a_strict_table", code=REFUSED, capture=True,
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v INTEGER, n INTEGER) STRICT;",
         rows="INSERT INTO a VALUES ('1', '7', 1), ('2', 'seven', 2);", text="""
  refused     1 row, cannot store TEXT value in INTEGER column b.v:
                key '2': the target would not take it: cannot store TEXT value in INTEGER column b.v
  hint        the target would not take these rows: correct them, map them otherwise, or correct the constraint
"""),
    Case("rows_that_refer_to_nothing", code=REFUSED, capture=True,
         source=SOURCE + "CREATE TABLE p (id TEXT PRIMARY KEY);",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT REFERENCES p (id), n INTEGER);", text="""
  refused     2 rows, a reference to p that is not there:
                key '1': refers to 'x' of p, which is not there
                key '2': refers to 'y' of p, which is not there
  hint        correct these rows, or say `orphans: keep` to move them as they are
"""),
    Case("dual_into_a_unique_expression", code=REFUSED, rows="",
         target=TARGET + "CREATE UNIQUE INDEX i ON b (lower(v));",
         text="""
  refusal     b has the unique index i over an expression or some rows only, and a does not promise that: a write could fail
              hint: make that index after the migration is finished, or say `sync: capture`
"""),
    Case("dual_into_a_partial_unique_index", code=REFUSED, rows="",
         target=TARGET + "CREATE UNIQUE INDEX i ON b (n) WHERE v = 'open';", text="""
  refusal     b has the unique index i over an expression or some rows only, and a does not promise that: a write could fail
              hint: make that index after the migration is finished, or say `sync: capture`
"""),
    Case("dual_into_a_key_of_another_collation", code=REFUSED, rows="",
         target="CREATE TABLE b (id TEXT COLLATE NOCASE PRIMARY KEY, v TEXT, n INTEGER);", text="""
  refusal     b.id is compared by NOCASE: keys that differ in a would become one row
              hint: give both keys the same collation, or say `sync: capture`
"""),
    Case("switch_that_the_table_refuses", source=SOURCE + FLAGS,
         more="cutover: {switches: [{row: db/flags, key: {name: x}, set: {enabled: null}, create: true}]}\n", text="""
error: flags.enabled is NOT NULL, and the switch would set it to null
  at plan.yaml:10:22
     10 | cutover: {switches: [{row: db/flags, key: {name: x}, set: {enabled: null}, create: true}]}
        |                      ^
hint: give it a value
safe: nothing was changed
"""),
    Case("a_null_among_the_values_of_a_map", edit=[(COLUMNS, "{id: id, v: {map: v, values: {x: y, null: z}}, n: n}")], text="""
error: a null is none of the values that `map` finds: it stays a null
  at plan.yaml:8:50
      8 |     columns: {id: id, v: {map: v, values: {x: y, null: z}}, n: n}
        |                                                  ^
hint: say what becomes of it by `if_null:` beside `values:`, or put quotes around the word
safe: nothing was changed
"""),
    Case("name_for_the_archive_is_the_target", more="finish: {after: 0s, rename_source_to: b}\n", text="""
error: the archive cannot be called `b`: the name is taken
  at plan.yaml:10:39
     10 | finish: {after: 0s, rename_source_to: b}
        |                                       ^
hint: the archive needs a name of its own
safe: nothing was changed
"""),
    Case("dual_into_an_integer_key", code=REFUSED, rows="",
         source="CREATE TABLE a (id TEXT NOT NULL PRIMARY KEY, v TEXT, n INTEGER);",
         target="CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT, n INTEGER);", text="""
  refusal     b.id takes whole numbers only, and a's key can be something else than a whole number: such a write would fail
"""),
    Case("dual_into_a_unique_column_of_another_collation", code=REFUSED, rows="",
         source="CREATE TABLE a (id TEXT PRIMARY KEY, v TEXT UNIQUE, n INTEGER);",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT COLLATE NOCASE UNIQUE, n INTEGER);", text="""
  refusal     b is unique over (v) with v compared by NOCASE, and a does not promise that: a write could fail
"""),
    Case("dual_into_a_table_whose_trigger_raises", code=REFUSED, rows="",
         target=TARGET + "CREATE TRIGGER nope BEFORE INSERT ON b WHEN NEW.v IS NULL"
                         " BEGIN SELECT RAISE(ABORT, 'no'); END;",
         text="""
  refusal     the trigger nope on b would run within each write to a, and could refuse it
"""),
    Case("dual_into_an_index_that_can_fail", code=REFUSED, rows="",
         target=TARGET + "CREATE INDEX i ON b (json_extract(v, '$.a'));", text="""
  refusal     the index i of b computes json_extract(v, '$.a'), which can fail: so could a write to a
"""),
    Case("dual_into_a_computed_column_that_can_fail", code=REFUSED, rows="",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT, n INTEGER, g AS (json_extract(v, '$.a')) STORED);",
         text="""
  refusal     a column of b computes json_extract(v, '$.a'), which can fail: so could a write to a
"""),
    Case("dual_into_not_null_default_null",
         target="CREATE TABLE b (id TEXT PRIMARY KEY, v TEXT, n INTEGER, w TEXT NOT NULL DEFAULT NULL);",
         text="""
error: b.w is NOT NULL without a default, and the plan does not give it a value
  at plan.yaml:6:9
      6 |     to: db/b
        |         ^~~~
hint: add `w:` under `columns`
safe: nothing was changed
"""),
    Case("unset_variable", edit=[("${DB}", "${UNSET}")], text="""
error: the variable UNSET is not set
  at plan.yaml:3:22
      3 | stores: {db: "sqlite:${UNSET}"}
        |                      ^~~~~~~~
hint: say `--var UNSET=…`, or set UNSET in the environment, or give it a default under `vars:`
safe: nothing was changed
"""),
    Case("variable_not_closed", edit=[("${DB}", "${DB")], text="""
error: a variable is written ${NAME}, and this one has no `}`
  at plan.yaml:3:22
      3 | stores: {db: "sqlite:${DB"}
        |                      ^~~~
safe: nothing was changed
"""),
    Case("columns_as_a_list", edit=[(COLUMNS, "[id, v, n]")], text="""
error: `columns` must be a map
  at plan.yaml:8:14
      8 |     columns: [id, v, n]
        |              ^
hint: like {new_name: old_name}; names that stay go into `same: […]`
safe: nothing was changed
"""),
    Case("stores_as_a_list", edit=[('{db: "sqlite:${DB}"}', '["sqlite:${DB}"]')], text="""
error: `stores` must be a map
  at plan.yaml:3:9
      3 | stores: ["sqlite:${DB}"]
        |         ^
hint: a name and a URL each, like {app: URL}
safe: nothing was changed
"""),
    Case("number_of_the_wrong_type", more="limits: {batch_size: many}\n", text="""
error: `batch_size` must be a whole number from 1 on, not `many`
  at plan.yaml:10:22
     10 | limits: {batch_size: many}
        |                      ^~~~
safe: nothing was changed
"""),
    Case("grammar_of_another_release", edit=[("whimbrel: 1", "whimbrel: 2")], text="""
error: this release reads `whimbrel: 1`, and the plan is written in `whimbrel: 2`
  at plan.yaml:1:11
      1 | whimbrel: 2
        |           ^
hint: `whimbrel version` says which release this is
safe: nothing was changed
"""),
    Case("switch_with_another_key", source=SOURCE + FLAGS,
         more="cutover: {switches: [{row: db/flags, key: {enabled: 1}, set: {enabled: 1}}]}\n", text="""
error: a switch must name the key of flags: name
  at plan.yaml:10:22
     10 | cutover: {switches: [{row: db/flags, key: {enabled: 1}, set: {enabled: 1}}]}
        |                      ^
hint: like key: {name: …}
safe: nothing was changed
"""),
    Case("target_is_there_and_differs", source=SOURCE + TARGET.replace("v TEXT", "v INTEGER"), text="""
error: b is there already, and its column `v` is INTEGER where new.sql says TEXT
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
hint: correct new.sql, or say `create: exists` to take the table as it is
safe: nothing was changed
"""),
    Case("target_without_a_key", target="CREATE TABLE b (id TEXT, v TEXT, n INTEGER);", text="""
error: b has no key by which its rows are told apart
  at plan.yaml:5:5
      5 |   - from: db/a
        |     ^
hint: give it a primary key, or a unique index over columns that are NOT NULL
safe: nothing was changed
"""),
    Case("mistakes_of_grammar_and_of_columns_in_one_go", plan=WITH_REST_DROP,
         edit=[("v: v", "v: vv")], more="limits: {batchsize: 1}\n", text="""
error: the plan has 2 mistakes
a has no column `vv`
  at plan.yaml:9:26
      9 |     columns: {id: id, v: vv, n: n}
        |                          ^~
  hint: did you mean `v`?
`limits` has no key `batchsize`
  at plan.yaml:11:10
     11 | limits: {batchsize: 1}
        |          ^~~~~~~~~
  hint: did you mean `batch_size`?
safe: nothing was changed
"""),
    Case("brace_in_a_text_not_closed", edit=[("v: v", "v: 'x{v'")], text="""
error: a `{` is not closed
  at plan.yaml:8:28
      8 |     columns: {id: id, v: 'x{v', n: n}
        |                            ^
hint: write {{ for the character
safe: nothing was changed
"""),
    Case("target_file_makes_another_table_too", target=TARGET + "CREATE TABLE c (id TEXT PRIMARY KEY);", text="""
error: new.sql:2:1: the file also makes the table `c`
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
hint: it has to make `b` and its indexes, and nothing else
safe: nothing was changed
"""),
    Case("target_with_a_name_of_ours", edit=[("db/b", "db/whimbrel_b")],
         target=TARGET.replace("TABLE b", "TABLE whimbrel_b"),
         text="""
error: the plan has 2 mistakes
names that begin with `whimbrel_` are kept for what a migration makes for itself
  at plan.yaml:6:9
      6 |     to: db/whimbrel_b
        |         ^~~~~~~~~~~~~
  hint: name another target
new.sql:1:1: the file does not make `whimbrel_b`
  at plan.yaml:7:13
      7 |     create: new.sql
        |             ^~~~~~~
  hint: it has to hold CREATE TABLE "whimbrel_b" (…)
safe: nothing was changed
"""),
    Case("value_that_an_integer_key_cannot_hold", code=REFUSED, capture=True,
         target="CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT, n INTEGER);",
         rows="INSERT INTO a VALUES ('1', 'x', 1), ('k', 'y', 2);", text="""
  refused     1 row, datatype mismatch:
                key 'k': the target would not take it: datatype mismatch
"""),
    Case("quote_not_closed", edit=[("migration: small", 'migration: "small')], text="""
error: this is no YAML: a `"` is not closed
  at plan.yaml:2:12
      2 | migration: "small
        |            ^
safe: nothing was changed
"""),
    Case("colon_missing", edit=[("migration: small", "migration small")], text="""
error: this is no YAML: a key without its `:`
  at plan.yaml:2:1
      2 | migration small
        | ^
hint: write KEY: VALUE, with a space after the colon
safe: nothing was changed
"""),
    Case("anchor_missing", edit=[(COLUMNS, "*columns")], text="""
error: this is no YAML: nothing has the anchor `&columns`
  at plan.yaml:8:14
      8 |     columns: *columns
        |              ^~~~~~~~
hint: put `&columns` before the value that is meant, further up
safe: nothing was changed
"""),
    Case("function_inside_of_a_document", edit=[("v: v", "v: {json: {a: {cast: n, tow: text}}}")], text="""
error: `cast` makes this a function, and that has no key `tow`
  at plan.yaml:8:47
      8 |     columns: {id: id, v: {json: {a: {cast: n, tow: text}}}, n: n}
        |                                               ^~~
hint: fields with such names stand under a `json:` of their own, like {json: {cast: …}}
safe: nothing was changed
"""),
    Case("lookup_inside_of_a_document_without_its_table", edit=[("v: v", "v: {json: {a: {lookup: v, by: n}}}")], text="""
error: `in:` is missing
  at plan.yaml:8:37
      8 |     columns: {id: id, v: {json: {a: {lookup: v, by: n}}}, n: n}
        |                                     ^
hint: like {lookup: name, in: customers, by: customer}
safe: nothing was changed
"""),
    Case("function_without_a_near_name", edit=[("v: v", "v: {upcase: v}")], text="""
error: there is no function `upcase`
  at plan.yaml:8:27
      8 |     columns: {id: id, v: {upcase: v}, n: n}
        |                           ^~~~~~
hint: one of const, from, cast, json, extract, map, coalesce, concat, split, time, between
safe: nothing was changed
"""),
]


def main(arguments):
    names = [a for a in arguments if not a.startswith("--") and a != "all"]
    known = {case.name: case for case in CASES}
    assert len(known) == len(CASES), "two cases have one name"
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit("no case is called %s" % unknown[0])
    chosen = [known[name] for name in names] or CASES
    failed = 0
    for case in chosen:
        if "--print" in arguments:
            folder = case.folder()
            for verb in case.verbs:
                print("--- %s, %s: exit %d\n%s" % ((case.name, verb) + case.told(folder, verb)))
            shutil.rmtree(folder)
            continue
        try:
            case.judge()
            print("ok      " + case.name)
        except Exception as failure:  # each case is reported, whatever went wrong
            failed += 1
            print("FAILED  %s: %s" % (case.name, failure))
        sys.stdout.flush()
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
