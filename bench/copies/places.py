"""Where rows are copied from and to: two SQLite files, or the tables of one DynamoDB Local.

A place is fresh for each competitor: `with place.opened() as there`, and then `there` knows what a
plan and the Node script have to be told, and reads what was written.
"""
import contextlib
import json
import os
import sqlite3

import data
import measuring
from dynamo import DynamoClient
from servers import dynamodb_local


class SqlitePlace:
    kind, of = "sqlite", "rows"

    def __init__(self, work, rows):
        self.work = work
        self.each = rows // len(data.TABLES)
        self.rows = self.each * len(data.TABLES)
        self.original = work / f"original-{self.rows}.db"
        self.empty = work / "empty.db"
        self.source, self.target = work / "source.db", work / "target.db"

    def make(self):
        fill(self.original, self.each)
        fill(self.empty, 0)

    @contextlib.contextmanager
    def opened(self):
        measuring.fresh_copy(self.original, self.source)
        measuring.fresh_copy(self.empty, self.target)
        try:
            yield self
        finally:
            measuring.remove(self.source)
            measuring.remove(self.target)

    environment = os.environ

    def plan(self):
        """Stores, and where the tables are. The references are those that the schema declares."""
        return (f'stores: {{from: "sqlite:{self.source}", to: "sqlite:{self.target}"}}',
                '{from: "from/{name}", to: "to/{name}", create: exists', "")

    def for_engine(self):
        return ["sqlite", self.source, self.target]

    def read(self, table):
        connection = sqlite3.connect(self.target)
        connection.row_factory = sqlite3.Row
        yield from map(dict, connection.execute(f'SELECT * FROM "{table}"'))
        connection.close()


def fill(path, each):
    """A new database; with no rows it is a target."""
    measuring.remove(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN")
    for table in data.TABLES:
        references = data.references_of(table)
        declared = "".join(f', "{column}" TEXT REFERENCES "{parent}" (id)'
                           for column, parent in references.items())
        connection.execute(f'CREATE TABLE "{table}" (id TEXT PRIMARY KEY, title TEXT NOT NULL, '
                           f"status TEXT, amount INTEGER, notes TEXT, createdAt TEXT{declared})")
        columns = [*data.COLUMNS, *references]
        connection.executemany(
            f'INSERT INTO "{table}" ({", ".join(columns)}) '
            f'VALUES ({", ".join(":" + column for column in columns)})', data.rows_of(table, each))
    connection.execute("COMMIT")
    connection.close()


class DynamoPlace:
    kind, of = "dynamodb", "items"
    from_suffix, to_suffix = "dev", "prod"

    def __init__(self, work, items):
        self.each = items // len(data.TABLES)
        self.rows = self.each * len(data.TABLES)
        self.client = self.environment = None

    def make(self):
        pass  # each server is filled by itself

    @contextlib.contextmanager
    def opened(self):
        with dynamodb_local() as server:
            self.environment = {**os.environ, **server.environment, "AWS_ACCESS_KEY_ID": "test",
                                "AWS_SECRET_ACCESS_KEY": "test"}
            self.client = DynamoClient(server.port)
            for table in data.TABLES:
                for suffix in (self.from_suffix, self.to_suffix):
                    self.client.create(f"{table}-{suffix}")
                self.client.put(f"{table}-{self.from_suffix}", data.rows_of(table, self.each))
            yield self
            self.client.close()

    def plan(self):
        lines = [f"  {one['name']}: {json.dumps(one['references'])}" for one in data.for_engine()
                 if one["references"]]
        return ('stores: {all: "dynamodb:us-east-1"}',
                f'{{from: "all/{{name}}-{self.from_suffix}", to: "all/{{name}}-{self.to_suffix}", '
                "create: exists, rest: copy", "\n".join(["references:", *lines]) + "\n")

    def for_engine(self):
        return ["dynamodb", self.from_suffix, self.to_suffix]

    def read(self, table):
        return self.client.scan(f"{table}-{self.to_suffix}")
