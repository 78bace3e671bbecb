"""An application that writes while the migration goes on, and the book of what it committed."""
import sqlite3
import threading
import time

import schema
import transforms as t
from migration import KNOWN_GAPS
from oracle import Different, exact_key, read, show
from schema import quote
from values import is_negative_zero, same

HELD = "whimbrel holds writes"


class Skip(Exception):
    """An operation that the tables do not allow, with or without a migration."""


class Rows:
    """Draws rows that the migration takes."""

    def __init__(self, rnd, storage, oracle):
        self.rnd, self.storage, self.oracle, self.migration = rnd, storage, oracle, oracle.migration
        self.counter = 0

    def reference(self, table, column):
        """Null, or a key that is there."""
        old = self.oracle.old
        count = old.execute("SELECT count(*) FROM %s" % quote(table.name)).fetchone()[0]
        if count == 0 or self.rnd.random() < 0.4:
            return None
        return old.execute("SELECT %s FROM %s LIMIT 1 OFFSET %d" % (quote(table.key[0]), quote(table.name), self.rnd.randrange(count))).fetchone()[0]

    def value(self, pair, column):
        if column.refers is not None:
            return self.reference(column.refers, column)
        if column.unique:
            self.counter += 1
            return self.counter * 7 if column.filled == "integer" else "u%dé" % self.counter
        value = schema.draw(self.rnd, column, self.storage, pair.source.strict)
        if is_negative_zero(value) and self.migration.sync == "dual" and "negative zero under dual" in KNOWN_GAPS:
            return 0.0
        return value

    def any_row(self, pair):
        """A row that the table takes, whatever the migration says of it."""
        return {column.name: self.value(pair, column) for column in pair.source.writable()}

    def row(self, pair, start=None, only=None):
        """A row of the source table; `start` and `only` change a row that is there."""
        columns = [column for column in pair.source.writable() if only is None or column.name in only]
        row = dict(start or {})
        for column in columns:
            row[column.name] = self.value(pair, column)
        for attempt in range(60):
            wrong = self.wrong(pair, row, {column.name for column in columns})
            if not wrong:
                return row
            for column in columns:
                if column.name in wrong:
                    simple = attempt > 20 and not column.required and column.name not in pair.source.key
                    row[column.name] = None if simple else self.value(pair, column)
        raise Skip("no row that is accepted")

    def wrong(self, pair, row, changeable):
        """Columns whose values a rule would refuse."""
        wrong = set()
        if all(column in row for column in pair.source.key) and self.key_is_wrong(pair, row):
            wrong |= set(pair.source.key) & changeable
        for name, rule in pair.rules.items():
            if any(column not in row for column in rule.columns()):
                continue
            if pair.accepts_column(name, row, self.storage) is not True:
                wrong |= set(rule.columns()) & changeable
                if not set(rule.columns()) & changeable:
                    raise Skip("the row as it is would be refused")
        return wrong


    def key_is_wrong(self, pair, row):
        try:
            return not pair.key_comes_back(row, self.storage)
        except (t.Refused, t.Doubtful, TypeError):
            return True


class Writer(threading.Thread):
    """Transactions on the side that the flag names, until it is told to stop. `failure` says what went wrong."""

    def __init__(self, world, rnd, transactions_per_s=150, seconds_max=40):
        super().__init__(daemon=True)
        self.world, self.oracle, self.migration, self.rnd = world, world.oracle, world.migration, rnd
        self.rows = world.rows
        self.pause_s, self.seconds_max = 1 / transactions_per_s, seconds_max
        self.asked_to_stop = threading.Event()
        self.failure = None
        self.committed = {"old": 0, "new": 0}

    def run(self):
        try:
            self.real = self.world.connect()
            self.oracle.configure(self.real)
            end = time.monotonic() + self.seconds_max
            while not self.asked_to_stop.is_set() and time.monotonic() < end:
                self.transaction()
                time.sleep(self.pause_s)
            self.real.close()
        except Exception as failure:  # told by whoever joins
            self.failure = failure

    def stop(self):
        self.asked_to_stop.set()
        self.join(60)
        if self.failure is not None:
            raise self.failure

    # --- one transaction --------------------------------------------------------------------------

    def transaction(self):
        self.real.execute("BEGIN IMMEDIATE")
        side = self.serving()
        if side == "new" and self.oracle.new is None:
            self.real.execute("ROLLBACK")
            self.oracle.switch_to_new()
            return
        if side == "old" and self.oracle.new is not None:
            self.oracle.switch_to_old(self.real)
        shadows = [self.oracle.old] + ([self.oracle.new] if side == "new" else [])
        for shadow in shadows:
            shadow.execute("BEGIN")
        notes, self.in_transaction = self.oracle.notes(), []
        try:
            for _ in range(self.rnd.choice([1, 1, 1, 2, 4])):
                self.operation(side)
            if self.rnd.random() < 0.1:
                raise Skip("the application changed its mind")
            for shadow in shadows:
                shadow.execute("COMMIT")
        except (Skip, sqlite3.IntegrityError) as reason:
            self.roll_back(shadows)
            self.oracle.take_notes(notes)
            if str(reason).startswith(HELD):
                time.sleep(0.004)
            return
        except BaseException:
            self.roll_back(shadows)
            raise
        self.real.execute("COMMIT")
        self.committed[side] += 1
        self.world.statements += self.in_transaction + ["--\n"]

    def roll_back(self, shadows):
        for connection in [self.real] + shadows:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def serving(self):
        try:
            row = self.real.execute("SELECT enabled FROM %s.flags WHERE name = 'generated'" % self.world.flags_schema).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            row = None
        return "new" if row is not None and row[0] == 1 else "old"

    def operation(self, side):
        number = self.rnd.randrange(len(self.migration.pairs))
        pair = self.migration.pairs[number]
        names = OLD_OPERATIONS if side == "old" else NEW_OPERATIONS
        shadows = [self.oracle.old] + ([self.oracle.new] if side == "new" else [])
        for shadow in shadows:
            shadow.execute("SAVEPOINT operation")
        notes = self.oracle.notes()
        try:
            self.statements = []
            getattr(self, self.rnd.choice(names))(number, pair)
        except (Skip, sqlite3.IntegrityError):
            self.oracle.take_notes(notes)
            for shadow in shadows:
                shadow.execute("ROLLBACK TO operation")
            return
        finally:
            for shadow in shadows:
                if shadow.in_transaction:
                    shadow.execute("RELEASE operation")
        for sql, parameters in self.statements:
            self.on_real(side, sql, parameters)

    def on_real(self, side, sql, parameters):
        prefix = self.world.new_prefix if side == "new" else "main."
        self.in_transaction.append("%s %s %s\n" % (side, sql.replace("\1", ""), show(parameters, 3000)))
        try:
            self.real.execute(sql.replace("\1", prefix), parameters)
        except sqlite3.IntegrityError as error:
            if str(error).startswith(HELD):
                raise
            raise Different("a write of the application failed that succeeds without a migration: %s: %s %r" % (error, sql.replace("\1", ""), parameters)) from None

    # --- old side: the statement itself is the book -----------------------------------------------

    def on_old(self, sql, parameters):
        self.oracle.old.execute(sql.replace("\1", "main."), parameters)
        self.statements.append((sql, parameters))

    def pick(self, connection, table):
        count = connection.execute("SELECT count(*) FROM %s" % quote(table.name)).fetchone()[0]
        if count == 0:
            raise Skip("no rows")
        names = table.names()
        row = connection.execute("SELECT %s FROM %s LIMIT 1 OFFSET %d" % (", ".join(map(quote, names)), quote(table.name),
                                                                        self.rnd.randrange(count))).fetchone()
        return dict(zip(names, row))

    def accept(self, number, pair, key_values, moved=False):
        """The row as the table has it now must be one that the migration takes."""
        names = pair.source.names()
        row = self.oracle.old.execute("SELECT %s FROM %s WHERE %s" % (", ".join(map(quote, names)), quote(pair.source.name),
                                                                      pair.source.where_key()), key_values).fetchone()
        if row is None:
            return
        row = dict(zip(names, row))
        accepted = pair.accepts(row, self.oracle.storage)
        if not accepted and (accepted is None or pair.on_error != "reject"):
            raise Skip("the migration would refuse this row")
        self.oracle.written_on_old_side(number, row, moved)

    def insert(self, number, pair, verb="INSERT", row=None, tail="", leave_out=True):
        row = row or self.rows.row(pair)
        table = pair.source
        names = [column.name for column in table.writable()
                 if not (leave_out and self.rnd.random() < 0.15 and column.name not in table.key and
                         (not column.required or column.default is not None))]
        sql = "%s INTO \1%s (%s) VALUES (%s)%s" % (verb, quote(table.name), ", ".join(map(quote, names)), ", ".join("?" * len(names)), tail)
        self.on_old(sql, [row[name] for name in names])
        self.accept(number, pair, [row[name] for name in table.key])

    def insert_or_ignore(self, number, pair):
        self.insert(number, pair, "INSERT OR IGNORE", self.maybe_taken_key(pair))

    def insert_or_replace(self, number, pair):
        self.insert(number, pair, self.rnd.choice(["INSERT OR REPLACE", "REPLACE"]), self.maybe_taken_key(pair))

    def maybe_taken_key(self, pair):
        row = self.rows.row(pair)
        if self.rnd.random() < 0.7:
            there = self.pick(self.oracle.old, pair.source)
            row.update({name: there[name] for name in pair.source.key})
        unique = [column.name for column in pair.source.payload() if column.unique]
        if unique and self.rnd.random() < 0.5:
            there = self.pick(self.oracle.old, pair.source)
            name = self.rnd.choice(unique)
            row[name] = there[name].upper() if isinstance(there[name], str) and self.rnd.random() < 0.5 else there[name]
        return row

    def upsert(self, number, pair):
        payload = pair.source.payload()
        sets = [column.name for column in payload if self.rnd.random() < 0.5]
        then = "UPDATE SET " + ", ".join("%s = excluded.%s" % (quote(n), quote(n)) for n in sets) if sets else "NOTHING"
        row = self.rows.row(pair)
        if self.rnd.random() < 0.7:
            there = self.pick(self.oracle.old, pair.source)
            row.update({name: there[name] for name in pair.source.key})
        self.insert(number, pair, row=row, tail=" ON CONFLICT (%s) DO %s" % (", ".join(map(quote, pair.source.key)), then), leave_out=False)

    def update(self, number, pair):
        table = pair.source
        names = [column.name for column in table.payload() if self.rnd.random() < 0.4]
        if not names:
            raise Skip("nothing to change")
        row = self.pick(self.oracle.old, table)
        changed = self.rows.row(pair, row, names)
        sql = "UPDATE \1%s SET %s WHERE %s" % (quote(table.name), ", ".join(quote(n) + " = ?" for n in names), table.where_key())
        key = [row[name] for name in table.key]
        self.on_old(sql, [changed[name] for name in names] + key)
        self.accept(number, pair, key)

    def update_many(self, number, pair):
        """One statement that changes several rows, perhaps to the same value as before."""
        table = pair.source
        names = [column.name for column in table.payload() if not column.unique]
        if not names:
            raise Skip("nothing to change")
        name = self.rnd.choice(names)
        rows = [self.pick(self.oracle.old, table) for _ in range(3)]
        value = self.rows.row(pair, rows[0], [name])[name]
        keys = [[row[n] for n in table.key] for row in rows]
        sql = "UPDATE \1%s SET %s = ? WHERE %s" % (quote(table.name), quote(name), " OR ".join("(%s)" % table.where_key() for _ in keys))
        self.on_old(sql, [value] + [one for key in keys for one in key])
        for key in keys:
            self.accept(number, pair, key)

    def update_all(self, number, pair):
        """Every row in one statement."""
        table = pair.source
        columns = [column for column in table.payload() if not column.unique and column.refers is None and column.pool is None]
        if not columns or self.oracle.old.execute("SELECT count(*) FROM %s" % quote(table.name)).fetchone()[0] > 150:
            raise Skip("nothing to change, or too much")
        name = quote(self.rnd.choice(columns).name)
        value = self.rnd.choice(["CASE typeof(%s) WHEN 'integer' THEN %s / 2 WHEN 'text' THEN substr(%s, 1, 20) || 'é' ELSE %s END" % (name, name, name, name),
                                 "coalesce(%s, 0)" % name, "%s" % name])
        self.on_old("UPDATE \1%s SET %s = %s" % (quote(table.name), name, value), [])
        self.accept_all(number, pair)

    def accept_all(self, number, pair, moved=False):
        for row in read(self.oracle.old, pair.source).values():
            self.accept(number, pair, [row[name] for name in pair.source.key], moved)

    def shift_keys(self, number, pair):
        """Every key moves to where another one was, or might have been."""
        table = pair.source
        if len(table.key) != 1 or table.column(table.key[0]).filled != "integer":
            raise Skip("no whole numbers")
        name = quote(table.key[0])
        self.on_old("UPDATE \1%s SET %s = %s + ? WHERE typeof(%s) = 'integer' AND %s BETWEEN 0 AND 200000" % (quote(table.name), name, name, name, name),
                    [self.rnd.choice([1, 1000])])
        self.accept_all(number, pair, moved=True)

    def insert_several(self, number, pair):
        table = pair.source
        rows = [self.rows.row(pair) for _ in range(self.rnd.randint(2, 5))]
        names = list(rows[0])
        marks = "(%s)" % ", ".join("?" * len(names))
        self.on_old("INSERT INTO \1%s (%s) VALUES %s" % (quote(table.name), ", ".join(map(quote, names)), ", ".join([marks] * len(rows))),
                    [row[name] for row in rows for name in names])
        for row in rows:
            self.accept(number, pair, [row[name] for name in table.key])

    def delete_several(self, number, pair):
        keys = [[row[name] for name in pair.source.key] for row in (self.pick(self.oracle.old, pair.source) for _ in range(3))]
        self.on_old("DELETE FROM \1%s WHERE %s" % (quote(pair.source.name), " OR ".join("(%s)" % pair.source.where_key() for _ in keys)),
                    [one for key in keys for one in key])

    def insert_and_take_back(self, number, pair):
        """A savepoint within the transaction: nothing of it stays."""
        row = self.rows.row(pair)
        names = list(row)
        insert = "INSERT OR REPLACE INTO \1%s (%s) VALUES (%s)" % (quote(pair.source.name), ", ".join(map(quote, names)), ", ".join("?" * len(names)))
        for sql, parameters in (("SAVEPOINT taken_back", []), (insert, list(row.values())), ("ROLLBACK TO taken_back", []), ("RELEASE taken_back", [])):
            self.on_old(sql, parameters)

    def delete(self, number, pair):
        row = self.pick(self.oracle.old, pair.source)
        self.on_old("DELETE FROM \1%s WHERE %s" % (quote(pair.source.name), pair.source.where_key()), [row[n] for n in pair.source.key])

    def change_key(self, number, pair, verb="UPDATE"):
        table = pair.source
        row = self.pick(self.oracle.old, table)
        names = [name for name in table.key if self.rnd.random() < 0.7] or table.key[:1]
        if verb == "UPDATE":
            changed = self.rows.row(pair, row, names)
        else:
            changed = dict(row, **{name: self.pick(self.oracle.old, table)[name] for name in table.key})
        also = [column.name for column in table.payload() if self.rnd.random() < 0.15]
        changed = self.rows.row(pair, changed, also) if also else changed
        sets = names + also if verb == "UPDATE" else table.key + also
        sql = "%s \1%s SET %s WHERE %s" % (verb, quote(table.name), ", ".join(quote(n) + " = ?" for n in sets), table.where_key())
        self.on_old(sql, [changed[n] for n in sets] + [row[n] for n in table.key])
        self.accept(number, pair, [changed[n] for n in table.key], moved=True)

    def change_key_or_replace(self, number, pair):
        # With a DELETE trigger SQLite itself refuses what a cascade would have allowed.
        if self.migration.recursive_triggers and any(column.refers for column in pair.source.columns):
            raise Skip("cascades and triggers")
        # Without a row left to update no trigger of the statement fires, and who was replaced is noticed by nobody but `verify`.
        if self.migration.foreign_keys and any("CASCADE" in one for one in pair.source.foreign):
            raise Skip("it may hang by a cascade on the row it replaces")
        self.change_key(number, pair, "UPDATE OR REPLACE")

    def delete_and_insert_again(self, number, pair):
        row = self.pick(self.oracle.old, pair.source)
        self.on_old("DELETE FROM \1%s WHERE %s" % (quote(pair.source.name), pair.source.where_key()), [row[n] for n in pair.source.key])
        again = self.rows.row(pair)
        again.update({name: row[name] for name in pair.source.key})
        self.insert(number, pair, row=again)

    # --- new side: the row that the old side is to have is drawn first ----------------------------

    def on_new(self, sql, parameters):
        self.oracle.new.execute(sql.replace("\1", "main."), parameters)
        self.statements.append((sql, parameters))

    def carry(self, sql, parameters):
        self.oracle.old.execute(sql, parameters)
        self.oracle.carried_back = True

    def mark(self, number, key, columns, unknown=True):
        marks = self.oracle.unknown[number]
        cells = {(exact_key(key), column) for column in columns}
        if unknown:
            marks |= cells
        else:
            marks -= cells

    def touch(self, number, key):
        self.oracle.touched[number].add(exact_key(key))

    def whole(self, pair, row):
        """The row as the old table would hold it, with its computed columns."""
        old, table = self.oracle.old, pair.source
        names = [column.name for column in table.writable() if column.name in row]
        old.execute("SAVEPOINT whole")
        try:
            key = [row[name] for name in table.key]
            old.execute("DELETE FROM %s WHERE %s" % (quote(table.name), table.where_key()), key)
            old.execute("INSERT INTO %s (%s) VALUES (%s)" % (quote(table.name), ", ".join(map(quote, names)), ", ".join("?" * len(names))),
                        [row[name] for name in names])
            found = old.execute("SELECT %s FROM %s WHERE %s" % (", ".join(map(quote, table.names())), quote(table.name), table.where_key()),
                                key).fetchone()
        finally:
            old.execute("ROLLBACK TO whole")
            old.execute("RELEASE whole")
        if found is None:
            raise Skip("the row is not there")
        row = dict(zip(table.names(), found))
        if pair.accepts(row, self.oracle.storage) is not True:
            raise Skip("no image")
        return row

    def free_values(self, pair):
        target = pair.target
        return {name: schema.draw(self.rnd, target.column(name), self.oracle.storage, target.strict)
                for name in pair.free if self.rnd.random() < 0.3}

    def always_open(self, pair):
        return [column.name for column in pair.source.writable() if column.by_trigger]

    def new_insert(self, number, pair, verb="INSERT", row=None, tail="", only=None):
        row = self.whole(pair, row or self.rows.row(pair))
        image = dict(self.oracle.stored_image(pair, row))
        values = dict(image, **self.free_values(pair))
        names = list(values)
        sql = "%s INTO \1%s (%s) VALUES (%s)%s" % (verb, quote(pair.target.name), ", ".join(map(quote, names)), ", ".join("?" * len(names)), tail)
        there = self.source_row(pair, image)
        self.not_referenced(pair, there)
        if there is not None and pair.accepts(there, self.oracle.storage) is not True:
            raise Skip("the new side does not have this row")
        if there is not None and verb == "INSERT":
            raise Skip("the key is taken")
        self.on_new(sql, [values[name] for name in names])
        self.carry_row(number, pair, row, image, there)
        self.touch(number, [image[name] for name in pair.target.key])

    def source_row(self, pair, image):
        key = self.oracle.source_key(pair, image)
        return read_one(self.oracle.old, pair.source, key)

    def carry_row(self, number, pair, row, image, there):
        """Inserts what comes back of the row; over a row that is there, what does not come back is open."""
        given, certain, open_columns = {}, [], self.always_open(pair)
        for column in pair.source.writable():
            back = self.oracle.back(pair, column.name, image)
            if back is None:
                if there is not None:
                    open_columns.append(column.name)
                continue
            comes_back = back[1] and same(back[0], row[column.name])
            given[column.name] = row[column.name]
            (certain if comes_back else open_columns).append(column.name)
        key = [given[name] for name in pair.source.key]
        names = list(given)
        if there is None:
            self.carry("INSERT INTO %s (%s) VALUES (%s)" % (quote(pair.source.name), ", ".join(map(quote, names)), ", ".join("?" * len(names))),
                       [given[name] for name in names])
            self.mark(number, key, pair.source.names(), unknown=False)
        else:
            payload = [name for name in names if name not in pair.source.key]
            if payload:
                self.carry("UPDATE %s SET %s WHERE %s" % (quote(pair.source.name), ", ".join(quote(n) + " = ?" for n in payload), pair.source.where_key()),
                           [given[name] for name in payload] + key)
            self.mark(number, key, certain, unknown=False)
        self.mark(number, key, open_columns)
        self.mark(number, key, self.computed_from(pair, open_columns))

    @staticmethod
    def computed_from(pair, open_columns):
        return [column.name for column in pair.source.columns if column.computed and any(quote(name) in column.computed for name in open_columns)]

    def new_replace(self, number, pair):
        row = self.rows.row(pair)
        there = self.pick(self.oracle.old, pair.source)
        row.update({name: there[name] for name in pair.source.key})
        self.new_insert(number, pair, "INSERT OR REPLACE", row)

    def new_update(self, number, pair, upsert=False):
        new_row = self.pick(self.oracle.new, pair.target)
        old_row = self.source_row(pair, new_row)
        if old_row is None:
            raise Different("the book has no row for the key %r of the new side" % ([new_row[n] for n in pair.target.key],))
        key = [old_row[name] for name in pair.source.key]
        names = [column.name for column in pair.source.payload() if self.rnd.random() < 0.4 and not column.by_trigger]
        unknown = {column for at, column in self.oracle.unknown[number] if at == exact_key(key)}
        changed = self.whole(pair, self.rows.row(pair, old_row, names) if names else old_row)
        computed = {column.name for column in pair.source.columns if column.computed}
        rules = [name for name, rule in pair.rules.items()
                 if name not in pair.target.key and set(rule.columns()) & (set(names) | computed) and not set(rule.columns()) & (unknown - set(names))]
        image = self.oracle.stored_image(pair, changed)
        sets = {name: image[name] for name in rules}
        sets.update(self.free_values(pair))
        if not sets:
            raise Skip("nothing to change")
        target_key = [new_row[name] for name in pair.target.key]
        clause = ", ".join(quote(name) + " = ?" for name in sets)
        if upsert:
            full = dict(image, **{name: value for name, value in sets.items()})
            self.on_new("INSERT INTO \1%s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s" % (
                quote(pair.target.name), ", ".join(map(quote, full)), ", ".join("?" * len(full)), ", ".join(map(quote, pair.target.key)), clause),
                list(full.values()) + list(sets.values()))
        else:
            self.on_new("UPDATE \1%s SET %s WHERE %s" % (quote(pair.target.name), clause, pair.target.where_key()), list(sets.values()) + target_key)
        self.carry_changes(number, pair, key, changed, new_row, sets)
        self.touch(number, target_key)

    def carry_changes(self, number, pair, key, wanted, before, sets):
        """Only source columns that come from a changed target column change."""
        moved = {name for name, value in sets.items() if not same(before[name], value)}
        after = dict(before, **sets)
        given, open_columns = {}, self.always_open(pair)
        for column, ways in pair.ways().items():
            if column in pair.source.key or pair.source.column(column).computed or not {name for name, _ in ways} & moved:
                continue
            value, certain = self.oracle.back(pair, column, after)
            given[column] = wanted[column]
            if certain and same(value, wanted[column]):
                self.mark(number, key, [column], unknown=False)
            else:
                open_columns.append(column)
        if given:
            self.carry("UPDATE %s SET %s WHERE %s" % (quote(pair.source.name), ", ".join(quote(n) + " = ?" for n in given), pair.source.where_key()),
                       list(given.values()) + list(key))
        self.mark(number, key, open_columns + self.computed_from(pair, open_columns))

    def not_referenced(self, pair, old_row):
        """What a deletion does to rows that refer to this one differs from schema to schema."""
        for other in self.migration.pairs:
            for column in other.source.columns:
                if old_row is None or column.refers is not pair.source:
                    continue
                count = self.oracle.old.execute("SELECT count(*) FROM %s WHERE %s = ?" % (quote(other.source.name), quote(column.name)),
                                                [old_row[pair.source.key[0]]]).fetchone()[0]
                if count:
                    raise Skip("others refer to this row")

    def new_upsert(self, number, pair):
        self.new_update(number, pair, upsert=True)

    def new_delete(self, number, pair):
        new_row = self.pick(self.oracle.new, pair.target)
        old_row = self.source_row(pair, new_row)
        self.not_referenced(pair, old_row)
        target_key = [new_row[name] for name in pair.target.key]
        self.on_new("DELETE FROM \1%s WHERE %s" % (quote(pair.target.name), pair.target.where_key()), target_key)
        self.carry("DELETE FROM %s WHERE %s" % (quote(pair.source.name), pair.source.where_key()), [old_row[name] for name in pair.source.key])
        self.touch(number, target_key)

    def new_change_key(self, number, pair):
        new_row = self.pick(self.oracle.new, pair.target)
        old_row = self.source_row(pair, new_row)
        self.not_referenced(pair, old_row)
        moved = self.rows.row(pair, old_row, pair.source.key)
        if read_one(self.oracle.old, pair.source, [moved[n] for n in pair.source.key]) is not None:
            raise Skip("the key is taken")
        image = self.oracle.stored_image(pair, moved)
        sets = {name: image[name] for name, rule in pair.rules.items() if set(rule.columns()) & set(pair.source.key)}
        target_key = [new_row[name] for name in pair.target.key]
        self.on_new("UPDATE \1%s SET %s WHERE %s" % (quote(pair.target.name), ", ".join(quote(n) + " = ?" for n in sets), pair.target.where_key()),
                    list(sets.values()) + target_key)
        back = [self.oracle.back(pair, name, dict(new_row, **sets))[0] for name in pair.source.key]
        self.carry("UPDATE %s SET %s WHERE %s" % (quote(pair.source.name), ", ".join(quote(n) + " = ?" for n in pair.source.key), pair.source.where_key()),
                   back + [old_row[name] for name in pair.source.key])
        self.touch(number, target_key)
        self.touch(number, [image[name] for name in pair.target.key])
        self.mark(number, back, self.open_after_move(number, pair, old_row))
        self.oracle.moved_on_new_side(number, target_key, [image[name] for name in pair.target.key])

    def open_after_move(self, number, pair, old_row):
        """A feed sees a new key as a new row: what does not come back from the new side is open."""
        key = exact_key(old_row[name] for name in pair.source.key)
        unknown = {column for at, column in self.oracle.unknown[number] if at == key}
        if self.migration.sync == "capture":
            for column in pair.source.payload():
                back = self.oracle.back(pair, column.name, self.oracle.stored_image(pair, old_row))
                if back is None or not back[1] or not same(back[0], old_row[column.name]):
                    unknown.add(column.name)
        return list(unknown) + self.always_open(pair) + self.computed_from(pair, unknown)


def read_one(connection, table, key):
    names = table.names()
    row = connection.execute("SELECT %s FROM %s WHERE %s" % (", ".join(map(quote, names)), quote(table.name), table.where_key()), key).fetchone()
    return None if row is None else dict(zip(names, row))


OLD_OPERATIONS = ["insert"] * 3 + ["update"] * 5 + ["delete"] * 2 + ["update_all", "shift_keys", "insert_several", "delete_several", "insert_and_take_back",
                                                                  "insert_or_ignore", "insert_or_replace", "upsert", "update_many", "change_key",
                                                                  "change_key_or_replace", "delete_and_insert_again"]
NEW_OPERATIONS = ["new_insert"] * 2 + ["new_update"] * 4 + ["new_delete", "new_replace", "new_upsert", "new_change_key"]
