"""Text keys become uuid by a script of the kind that a team writes by hand: batches.py URL

A new column beside each old one, kept by a trigger, filled in batches of a thousand; indexes built
concurrently; then one transaction that exchanges the columns. It checks nothing, and leads nowhere back.
"""
import sys

import psycopg

BATCH = 1000
COLUMNS = {"users": "id", "journal_entries": "user_id", "tags": "user_id"}
INDEXES = ("UNIQUE INDEX CONCURRENTLY users_new ON users (id_new)",
           "INDEX CONCURRENTLY journal_new ON journal_entries (user_id_new, created_at DESC)",
           "INDEX CONCURRENTLY tags_new ON tags (user_id_new, name)")
SWAP = """
LOCK TABLE users, journal_entries, tags IN ACCESS EXCLUSIVE MODE;
ALTER TABLE journal_entries DROP CONSTRAINT journal_entries_user_id_fkey;
ALTER TABLE tags DROP CONSTRAINT tags_user_id_fkey;
DROP TRIGGER fill_new ON users;
DROP TRIGGER fill_new ON journal_entries;
DROP TRIGGER fill_new ON tags;
ALTER TABLE users DROP COLUMN id;
ALTER TABLE journal_entries DROP COLUMN user_id;
ALTER TABLE tags DROP COLUMN user_id;
ALTER TABLE users RENAME COLUMN id_new TO id;
ALTER TABLE journal_entries RENAME COLUMN user_id_new TO user_id;
ALTER TABLE tags RENAME COLUMN user_id_new TO user_id;
ALTER TABLE users ALTER id SET NOT NULL;
ALTER TABLE journal_entries ALTER user_id SET NOT NULL;
ALTER TABLE tags ALTER user_id SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT there, ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_new;
ALTER TABLE journal_entries DROP CONSTRAINT there,
  ADD CONSTRAINT journal_entries_user_id_fkey FOREIGN KEY (user_id) REFERENCES users
  ON DELETE CASCADE NOT VALID;
ALTER TABLE tags DROP CONSTRAINT there,
  ADD CONSTRAINT tags_user_id_fkey FOREIGN KEY (user_id) REFERENCES users NOT VALID;
ALTER INDEX journal_new RENAME TO journal_by_user;
ALTER INDEX tags_new RENAME TO tags_by_user;
"""
AFTERWARDS = """
ALTER TABLE journal_entries VALIDATE CONSTRAINT journal_entries_user_id_fkey;
ALTER TABLE tags VALIDATE CONSTRAINT tags_user_id_fkey;
"""


def add(connection, table, column):
    connection.execute(f"""
        ALTER TABLE {table} ADD COLUMN {column}_new uuid;
        CREATE FUNCTION fill_{table}() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN NEW.{column}_new := NEW.{column}::uuid; RETURN NEW; END $$;
        CREATE TRIGGER fill_new BEFORE INSERT OR UPDATE ON {table}
          FOR EACH ROW EXECUTE FUNCTION fill_{table}()""")


def fill(connection, table, column):
    """Along the primary key, which of all three tables is `id`."""
    last = None
    while True:
        behind = "" if last is None else "WHERE id > %(last)s"
        rows = connection.execute(
            f"""WITH batch AS (SELECT id FROM {table} {behind} ORDER BY id LIMIT {BATCH}),
                     filled AS (UPDATE {table} t SET {column}_new = t.{column}::uuid FROM batch b
                                WHERE t.id = b.id AND t.{column}_new IS NULL)
                SELECT max(id) FROM batch""", {"last": last}).fetchone()
        if rows[0] is None:
            return
        last = rows[0]


def forbid_nulls(connection, table, column):
    """So that SET NOT NULL finds it proved, and reads no table under its lock."""
    connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT there CHECK ({column}_new IS NOT NULL) NOT VALID")
    connection.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT there")


def main():
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        for table, column in COLUMNS.items():
            add(connection, table, column)
        for table, column in COLUMNS.items():
            fill(connection, table, column)
        for index in INDEXES:
            connection.execute("CREATE " + index)
        for table, column in COLUMNS.items():
            forbid_nulls(connection, table, column)
        with connection.transaction():
            connection.execute(SWAP)
        for statement in AFTERWARDS.strip().splitlines():
            connection.execute(statement)
        for table in COLUMNS:
            connection.execute(f"DROP FUNCTION fill_{table}()")


if __name__ == "__main__":
    main()
