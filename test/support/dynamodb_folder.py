"""A folder with a plan, and an empty DynamoDB to carry it out on: for tests with a few items of their own."""
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))


class DynamoFolder:
    def __init__(self, server, plan):
        self.place = tempfile.TemporaryDirectory(prefix="whimbrel-dynamodb-")
        self.folder = pathlib.Path(self.place.name)
        self.ddb, self.environment = server.client("dynamodb"), {**os.environ, **server.environment}
        (self.folder / "plan.yaml").write_text(plan)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for table in self.ddb.list_tables()["TableNames"]:
            self.ddb.delete_table(TableName=table)
        self.place.cleanup()

    def make(self, table, items=()):
        self.ddb.create_table(TableName=table, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                              AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
        for item in items:
            self.ddb.put_item(TableName=table, Item=item)

    def items(self, table, key):
        return {item[key]["S"]: item for item in self.ddb.scan(TableName=table, ConsistentRead=True)["Items"]}

    def start(self, *words):
        return subprocess.Popen([BINARY, words[0], "plan.yaml", *words[1:]], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(self, process, code=0):
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, "%s gave %d instead of %d:\n%s" % (process.args[1:], process.returncode, code, out + err)
        return out + err

    def run(self, *words, code=0):
        return self.ended(self.start(*words), code)
