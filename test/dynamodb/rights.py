"""What `analyze` prints as least permissions, against what is really asked: a proxy before DynamoDB Local writes it down.

Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import fnmatch
import http.client
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import dynamodb_local  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
PLAN = """
whimbrel: 1
migration: rights
stores: {app: "dynamodb:"}
tables: [{as: things, from: app/Things, to: app/Others, create: like-source, rest: copy}]
sync: capture
cutover: {hold: none, stragglers: {quiet: 1s}, switches: [{env_file: app.env, set: {TABLE: Others}}]}
finish: {after: 0s, keep_source: false}
"""
# What each command may ask, in the order in which the commands are said.
STEPS = ((("check",), ["check, analyze"]),
         (("analyze",), ["check, analyze"]),
         (("run", "--yes", "--until", "prepare"), ["check, analyze", "prepare"]),
         (("run", "--yes", "--until", "copy"), ["check, analyze", "prepare", "copy"]),
         (("run", "--yes", "--until", "follow"), ["copy", "follow"]),
         (("run", "--yes", "--until", "verify"), ["follow", "verify"]),
         (("verify",), ["verify", "follow"]),
         (("run", "--yes"), ["follow", "verify", "cutover, watch"]),
         (("watch",), ["cutover, watch"]),
         (("rollback", "--yes"), ["rollback"]),
         (("run", "--yes"), ["check, analyze", "prepare", "copy", "follow", "verify", "cutover, watch"]),
         (("finish", "--yes"), ["cutover, watch", "finish"]))


class Recorder:
    """Forwards every request, and notes which operation was asked of which table."""

    def __init__(self, port):
        self.asked = set()
        self.counted = []  # tables that were read to count them
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = self.headers["X-Amz-Target"].split(".")[1]
                request = json.loads(body or b"{}")
                for table in recorder.tables_of(operation, request):
                    recorder.asked.add((operation, table))
                if request.get("Select") == "COUNT" and "ExclusiveStartKey" not in request and request.get("Segment", 0) == 0:
                    recorder.counted.append(request["TableName"])
                server = http.client.HTTPConnection("127.0.0.1", port)
                server.request("POST", self.path, body, dict(self.headers))
                answer = server.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                server.close()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def tables_of(operation, body):
        if "RequestItems" in body:
            return ["table/" + name for name in body["RequestItems"]]
        if "TableName" in body:
            return ["table/" + body["TableName"]]
        if "ResourceArn" in body:
            return [body["ResourceArn"].split(":", 5)[5]]
        if "StreamArn" in body:
            return [body["StreamArn"].split(":", 5)[5]]
        return ["a stream"] if operation == "GetRecords" else ["*"]

    def take(self):
        asked, self.asked = self.asked, set()
        return asked


def allowed(policies, phases, operation, resource):
    for phase in phases:
        for statement in policies.get(phase, {"Statement": []})["Statement"]:
            if "dynamodb:" + operation not in statement["Action"]:
                continue
            for on in statement["Resource"]:
                name = on if on == "*" else on.split(":", 5)[5]
                if name == "*" or fnmatch.fnmatchcase(resource, name) or (resource == "a stream" and "/stream/" in name):
                    return True
    return False


def item(number):
    return {"id": {"S": "i%04d" % number}, "text": {"S": "x" * (number * 37 % 3000)}, "n": {"N": str(number)}}


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-rights-"))
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "app.env").write_text("TABLE=Things\n")
    with dynamodb_local() as server:
        ddb = server.client("dynamodb")
        ddb.create_table(TableName="Things", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                         AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
                         GlobalSecondaryIndexes=[{"IndexName": "by_n", "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}])
        for number in range(200):
            ddb.put_item(TableName="Things", Item=item(number))
        recorder = Recorder(server.port)
        environment = {**os.environ, **server.environment, "AWS_ENDPOINT_URL_DYNAMODB": recorder.url}
        subprocess.run([BINARY, "analyze", "plan.yaml"], cwd=folder, env=environment, check=True, capture_output=True)
        document = json.loads((folder / ".whimbrel" / "rights" / "migration-analysis-latest.json").read_text())
        policies, capacity = document["policies"], document["tables"][0]["capacity"]
        sizes = [len("id") + 5 + len("text") + number * 37 % 3000 + len("n") + 2 for number in range(200)]
        expected = 2 * sum(-(-size // 1024) for size in sizes)  # the table and its index
        assert expected * 0.98 <= capacity["written_units"] <= expected * 1.02, (capacity, expected)
        read = 3 * sum(sizes) / 4096
        assert read * 0.98 <= capacity["read_units"] <= read * 1.02 + 1, (capacity, read)
        assert sum(len(s["Action"]) for s in policies["verify"]["Statement"]) > 2 and "dynamodb:*" not in json.dumps(policies), policies
        recorder.take()
        wrong, number = [], 0
        for words, phases in STEPS:
            serving = (folder / "app.env").read_text().strip().split("=")[1]
            ddb.put_item(TableName=serving, Item=item(5000 + number))
            number += 1
            done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:]], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, "%s: exit %d\n%s%s" % (words, done.returncode, done.stdout[-800:], done.stderr[-800:])
            asked = recorder.take()
            assert asked, words
            assert not recorder.counted, "%s reads a table only to count it: %s" % (words, recorder.counted)
            wrong += ["%s asks %s of %s" % (" ".join(words), *one) for one in sorted(asked) if not allowed(policies, phases, *one)]
            if words[0] == "analyze":
                assert "permissions at least" in done.stdout and "capacity " in done.stdout, done.stdout
                assert not allowed(policies, ["verify"], "PutItem", "table/Things")
            time.sleep(0.1)
        assert not wrong, "\n".join(wrong)
    shutil.rmtree(folder, ignore_errors=True)
    print("ok      every request is in the policy of its phase")


if __name__ == "__main__":
    main()
