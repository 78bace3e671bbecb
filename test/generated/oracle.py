"""What the tables have to hold, kept by SQLite itself: the same statements, in memory, without a migration.

`old` has the old schema, with its triggers and foreign keys. `new` has the target tables and is there from the
moment the switch is seen. A write on the new side is also carried to `old`, by the ways back that the documents
name; a cell that they leave open is `unknown` and is not compared.
"""
import sqlite3

import transforms as t
from schema import quote
from values import decode, encode, exact, holds_surrogate, same


class Different(Exception):
    """A table does not hold what it should."""


def memory():
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.text_factory = decode
    return connection


def exact_key(values):
    """Numbers that are equal are one key, whatever their types; the types are compared with the row."""
    return tuple(exact(int(value) if isinstance(value, float) and value.is_integer() else value) for value in values)


def read(connection, table, prefix="main."):
    """{exact key: {column: value}}"""
    names = table.names()
    sql = "SELECT %s FROM %s%s" % (", ".join(quote(name) for name in names), prefix, quote(table.name))
    rows = [dict(zip(names, row)) for row in connection.execute(sql)]
    return {exact_key(row[name] for name in table.key): row for row in rows}


def placeholder(value):
    """How a value is bound: text that is no UTF-8 goes as its bytes."""
    if isinstance(value, str) and holds_surrogate(value):
        return "CAST(? AS TEXT)", encode(value)
    return "?", value


def show(value, limit=200):
    text = repr(value)
    return text if len(text) < limit else text[:limit] + "…(%d)" % len(text)


def compare(what, want, found, ignored=(), documents=()):
    """`ignored` holds (exact key, column), or a column."""
    missing, extra = [k for k in want if k not in found], [k for k in found if k not in want]
    if missing or extra:
        raise Different("%s: %d rows missing %s, %d too many %s" % (what, len(missing), show(missing[:2]), len(extra), show(extra[:2])))
    for key, row in want.items():
        for column, value in row.items():
            got = found[key][column]
            if column in ignored or (key, column) in ignored or same(value, got):
                continue
            if column in documents and isinstance(value, str) and t.same_value(t.Document(value), got):
                continue
            raise Different("%s: column %s of key %s is %s, and should be %s" % (what, column, show([k[1] for k in key]), show(got), show(value)))


class Oracle:
    def __init__(self, migration, storage):
        self.migration, self.storage = migration, storage
        self.old = self.make_old()
        self.new = None
        self.unknown = [set() for _ in migration.pairs]
        self.touched = [set() for _ in migration.pairs]     # target keys that the new side wrote
        self.kept = [{} for _ in migration.pairs]           # what a rollback kept: target key -> row
        self.carried_back = False

    def notes(self):
        """What a rolled back transaction has to put back."""
        return [[set(one) for one in self.unknown], [set(one) for one in self.touched], [dict(one) for one in self.kept], self.carried_back]

    def take_notes(self, notes):
        self.unknown, self.touched, self.kept, self.carried_back = notes

    # --- schemas ----------------------------------------------------------------------------------

    def make_old(self):
        connection = memory()
        for sql in self.migration.old_ddl():
            connection.execute(sql)
        self.configure(connection)
        return connection

    def configure(self, connection):
        connection.execute("PRAGMA foreign_keys = %d" % self.migration.foreign_keys)
        connection.execute("PRAGMA recursive_triggers = %d" % self.migration.recursive_triggers)

    def make_new(self):
        """The target tables, filled with what the rows of `old` become."""
        connection = memory()
        for sql in self.migration.others if not self.migration.two_files else []:
            connection.execute(sql)
        for pair in self.migration.pairs:
            connection.execute(pair.target.table_ddl())
            for sql in pair.target.indexes + pair.target.unique_key_ddl():
                connection.execute(sql)
            columns = list(pair.rules)
            sql = "INSERT INTO %s (%s) VALUES (%s)" % (quote(pair.target.name), ", ".join(map(quote, columns)), ", ".join("?" * len(columns)))
            for row in read(self.old, pair.source).values():
                if pair.on_error == "reject" and pair.accepts(row, self.storage) is False:
                    continue
                image = pair.image(row)
                connection.execute(sql, [image[name] for name in columns])
        return connection

    # --- comparing --------------------------------------------------------------------------------

    def compare_old(self, connection, what):
        for number, pair in enumerate(self.migration.pairs):
            compare("%s, old table %s" % (what, pair.source.name), read(self.old, pair.source), read(connection, pair.source),
                    self.unknown[number])

    def compare_audit(self, connection, what):
        if self.migration.audit and not self.carried_back:
            sql = "SELECT * FROM main.audit ORDER BY 1, 2, 3"
            if self.old.execute(sql).fetchall() != connection.execute(sql).fetchall():
                raise Different("%s: the application's own trigger did not write what it should" % what)

    def compare_new(self, connection, prefix, what, new=None):
        for number, pair in enumerate(self.migration.pairs):
            want = read(self.new if new is None else new, pair.target)
            compare("%s, new table %s" % (what, pair.target.name), want, read(connection, pair.target, prefix),
                    self.ignored_new(number, pair, whole=new is not None), pair.documents())

    def wanted_new(self, new, number, pair):
        rows = read(new, pair.target)
        for key, (row, whole) in self.kept[number].items():
            if key in rows:
                rows[key] = dict(rows[key], **{name: value for name, value in row.items() if whole})
        return rows

    def ignored_new(self, number, pair, whole):
        """Columns of a row that was written on both sides since it was kept; before the switch, of any row that was kept."""
        open_columns = set(pair.free) | {name for name, rule in pair.rules.items() if not isinstance(rule, t.Copy)}
        open_columns |= {column.name for column in pair.target.columns if column.computed}
        return {(key, name) for key, (_, was_whole) in self.kept[number].items() if whole or not was_whole for name in open_columns}

    # --- the switch -------------------------------------------------------------------------------

    def switch_to_new(self):
        self.new = self.make_new()
        for number, pair in enumerate(self.migration.pairs):
            for key, row in self.wanted_new(self.new, number, pair).items():
                if key in self.kept[number]:
                    names = [column.name for column in pair.target.payload()]
                    if names:
                        self.new.execute("UPDATE %s SET %s WHERE %s" % (quote(pair.target.name), ", ".join(quote(n) + " = ?" for n in names),
                                                                        pair.target.where_key()),
                                         [row[n] for n in names] + [row[n] for n in pair.target.key])
        self.configure(self.new)
        self.touched = [set() for _ in self.migration.pairs]

    def switch_to_old(self, connection):
        """Inside a transaction of the real database: what came back is compared, then taken as it is.

        Where it was open which values of a row were put back it stays open, though the new side wrote others of it since.
        """
        self.compare_old(connection, "after the switch back")
        for number, pair in enumerate(self.migration.pairs):
            rows = read(self.new, pair.target)
            before = self.kept[number]
            self.kept[number] = {key: (row, key not in before or before[key][1]) for key, row in rows.items()
                                 if key in self.touched[number] or key in before}
        self.adopt(connection)
        self.new = None

    def adopt(self, connection):
        fresh = memory()
        self.copy_all(connection, fresh)
        self.configure(fresh)
        self.old = fresh
        self.carried_back = False
        self.unknown = [set() for _ in self.migration.pairs]

    def copy_all(self, source, target):
        """The old schema and its rows; triggers and indexes come when the rows are there."""
        ddl = self.migration.old_ddl()
        for sql in [sql for sql in ddl if sql.startswith("CREATE TABLE")]:
            target.execute(sql)
        for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
            self.copy_table(source, target, name)
        for sql in [sql for sql in ddl if not sql.startswith(("CREATE TABLE", "INSERT"))]:
            target.execute(sql)

    def copy_table(self, source, target, name):
        columns = [quote(row[1]) for row in target.execute("PRAGMA table_xinfo(%s)" % quote(name)) if row[6] == 0]
        if any(pair.source.name == name and pair.source.key_style == "numbered" for pair in self.migration.pairs):
            columns.append("rowid")
        rows = source.execute("SELECT %s FROM main.%s" % (", ".join(columns), quote(name)))
        for row in rows:
            spelled, bound = zip(*(placeholder(value) for value in row))
            target.execute("INSERT INTO %s (%s) VALUES (%s)" % (quote(name), ", ".join(columns), ", ".join(spelled)), bound)

    def written_on_old_side(self, number, source_row, moved=False):
        """What was kept of a row that the old side has written since is only partly put back; with a new key it may travel along."""
        pair = self.migration.pairs[number]
        try:
            key = exact_key(self.stored_image(pair, source_row)[name] for name in pair.target.key)
        except t.Refused:
            return
        if key in self.kept[number] or (moved and self.kept[number]):
            self.kept[number][key] = (self.kept[number].get(key, ({}, False))[0], False)

    def moved_on_new_side(self, number, key, new_key):
        kept = self.kept[number]
        if exact_key(key) in kept:
            kept[exact_key(new_key)] = kept[exact_key(key)]

    # --- images and ways back ---------------------------------------------------------------------

    def stored_image(self, pair, row):
        return {name: self.storage.stored(pair.target.column(name).declared, value, pair.target.strict)
                for name, value in pair.image(row).items()}

    def back(self, pair, column, image):
        """(value, is certain) of a source column, from a stored image; None where nothing leads back.

        A plain copy goes before all other ways.
        """
        ways = pair.ways().get(column, [])
        copies = [(name, way) for name, way in ways if isinstance(pair.rules[name], t.Copy)]
        found = []
        for name, way in copies or ways:
            try:
                value = way(image[name])
                found.append(self.storage.stored(pair.source.column(column).declared, value, pair.source.strict))
            except (t.Refused, t.Doubtful, TypeError):
                return None, False
        if not found:
            return None
        return found[0], all(same(one, found[0]) for one in found) and not self.stands_for_null(pair, column, image)

    def stands_for_null(self, pair, column, image):
        """What `if_null` gives may have come from a null or from the value itself."""
        return any(isinstance(rule, t.IfNull) and not rule.document and column in rule.columns() and
                   same(image[name], self.storage.stored(pair.target.column(name).declared, rule.otherwise.evaluate({}), pair.target.strict))
                   for name, rule in pair.rules.items())

    def source_key(self, pair, target_row):
        return [self.back(pair, name, target_row)[0] for name in pair.source.key]
