"""Where the five tables are and the three new ones come: a DynamoDB Local, or two SQLite files.

A place is fresh for each competitor: `with place.opened() as there`.
"""
import contextlib
import http.client
import json
import os
import pathlib
import sqlite3
import urllib.parse

import data
import measuring
from dynamo import DynamoClient, item_of
from servers import dynamodb_local

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent / "examples" / "single-table-design"
PREFIX = "candlefish-employee-setup-lean-prod"
FUNCTIONS = ("tyler-setup-graphql-gateway", "tyler-setup-users-handler",
             "tyler-setup-contractors-handler", "tyler-setup-secrets-handler")


class DynamoPlace:
    """The tables of the guide, its functions in moto, and the plan of the example."""
    kind = "dynamodb"

    def __init__(self, functions, factor):
        self.functions, self.factor = functions, factor
        self.rows = data.rows_in(factor)
        self.client = self.environment = None

    def make(self):
        pass  # each server is filled by itself

    @contextlib.contextmanager
    def opened(self):
        self.functions.make()
        with dynamodb_local() as server:
            self.environment = {**os.environ, **self.functions.environment, **server.environment,
                                "SECRETS_PREFIX": PREFIX}
            self.client = DynamoClient(server.port)
            for table, key in data.KEYS.items():
                self.client.create(self.named(table), key, **INDEXES.get(table, {}))
                self.client.put(self.named(table), data.rows_of(table, self.factor))
            yield self
            self.client.close()

    @staticmethod
    def named(table):
        return f"{PREFIX}-{table}"

    def make_target(self):
        """For a script; whimbrel makes its own from the same files."""
        for table in data.NEW:
            text = (EXAMPLE / f"{table}.json").read_text("utf-8")
            described = json.loads(text)
            described.pop("TimeToLiveSpecification", None)  # a call of its own, of no account here
            self.client.call("CreateTable", TableName=self.named(table), **described)

    def plan(self, sync):
        """The example's, without its checks, which ask a service on the internet."""
        text = (EXAMPLE / "migration.yaml").read_text("utf-8")
        begin, end = text.index("\nchecks:\n"), text.index("\nqueries:")
        text = text[:begin] + text[end:]
        if sync == "capture":
            for before, after in (("\nsync: none", "\nsync: capture"),
                                  ("window: {max: 30m, forecast: refuse}", "max_hold: 30s")):
                if before not in text:
                    raise measuring.Failed(f"the example's plan has no `{before.strip()}` any more")
                text = text.replace(before, after)
        return text, [EXAMPLE / f"{table}.json" for table in data.NEW]

    def for_script(self):
        return ["dynamodb", PREFIX]

    def wrong(self):
        """After the switch, compared value by value."""
        found = [f"{name} is not switched over: {variables}"
                 for name, variables in self.functions.variables().items()
                 if variables.get("USE_NEW_SCHEMA") != "true" or "READ_ONLY_MODE" in variables
                 or "MAINTENANCE_MODE" in variables]
        old, new = ({table: list(map(plain, self.client.items(self.named(table))))
                     for table in tables} for tables in (data.KEYS, data.NEW))
        return found + data.wrong_in(old, new)


# Which the example's query asks.
INDEXES = {"users": {
    "AttributeDefinitions": [{"AttributeName": "email", "AttributeType": "S"}],
    "GlobalSecondaryIndexes": [{
        "IndexName": "email-index", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}]}]}}


def plain(item):
    return {name: value_of(value) for name, value in item.items()}


def value_of(typed):
    kind, value = next(iter(typed.items()))
    if kind == "M":
        return plain(value)
    return int(value) if kind == "N" else value


class Functions:
    """The guide's functions of Lambda, which moto imitates. Looks at no signature."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.environment = server.environment
        self.role = None

    def call(self, service, method, path, body=None, codes=(200, 201)):
        kind = "application/json" if service == "lambda" else "application/x-www-form-urlencoded"
        self.connection.request(method, path, body, {
            "Content-Type": kind,
            "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/"
                             "aws4_request, SignedHeaders=host, Signature=0"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in codes:
            raise measuring.Failed(f"{service} {path}: {answer.status} {text[:300]!r}")
        return text

    def make(self):
        """Anew, as the next competitor has to find them."""
        if self.role is None:
            body = urllib.parse.urlencode({
                "Action": "CreateRole", "Version": "2010-05-08", "RoleName": "bench",
                "AssumeRolePolicyDocument": "{}"})
            text = self.call("iam", "POST", "/", body).decode()
            self.role = text.split("<Arn>")[1].split("</Arn>")[0]
        for name in FUNCTIONS:
            path = "/2015-03-31/functions"
            self.call("lambda", "DELETE", f"{path}/{name}", codes=(204, 404))
            self.call("lambda", "POST", path, json.dumps({
                "FunctionName": name, "Runtime": "nodejs20.x", "Role": self.role, "Handler": "a.b",
                "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
                "Environment": {"Variables": {"KEPT": "as it is"}}}))

    def variables(self):
        told = {}
        for name in FUNCTIONS:
            text = self.call("lambda", "GET", f"/2015-03-31/functions/{name}/configuration")
            told[name] = json.loads(text)["Environment"]["Variables"]
        return told


class SqlitePlace:
    kind = "sqlite"
    environment = os.environ

    def __init__(self, work, factor):
        self.factor, self.rows = factor, data.rows_in(factor)
        self.original = work / f"original-{factor}.db"
        self.source, self.target = work / "old.db", work / "new.db"

    def make(self):
        measuring.remove(self.original)
        connection = sqlite3.connect(self.original, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((HERE / "old.sql").read_text("utf-8"))
        connection.execute("BEGIN")
        for table in data.KEYS:
            about = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
            columns = [one[1] for one in about]
            connection.executemany(
                f'INSERT INTO "{table}" VALUES ({", ".join("?" for _ in columns)})',
                ([row.get(column) for column in columns]
                 for row in data.rows_of(table, self.factor)))
        connection.execute("COMMIT")
        connection.close()

    @contextlib.contextmanager
    def opened(self):
        measuring.fresh_copy(self.original, self.source)
        measuring.remove(self.target)
        connection = sqlite3.connect(self.target, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        try:
            yield self
        finally:
            measuring.remove(self.source)
            measuring.remove(self.target)

    def make_target(self):
        connection = sqlite3.connect(self.target, isolation_level=None)
        for table in data.NEW:
            connection.executescript((HERE / f"{table}.sql").read_text("utf-8"))
        connection.close()

    def plan(self, sync):
        text = (HERE / "plan.yaml").read_text("utf-8").replace("OLD", str(self.source))
        if sync != "capture":
            raise measuring.Failed("this plan is for `sync: capture`")
        return text.replace("NEW", str(self.target)), [HERE / f"{table}.sql" for table in data.NEW]

    def for_script(self):
        return ["sqlite", self.source, self.target]

    def wrong(self):
        connection = sqlite3.connect(self.source, timeout=60)
        connection.execute("ATTACH ? AS new", (str(self.target),))
        wrong = connection.execute((HERE / "wrong.sql").read_text("utf-8")).fetchone()[0]
        side = connection.execute("SELECT value FROM flags WHERE name = 'side'").fetchone()[0]
        connection.close()
        found = [] if side == "new" else ["the application is not switched over"]
        return found + ([f"{wrong} rows are not as expected"] if wrong else [])
