"""DynamoDB Local with the service's own backups, which it lacks: on demand, and restored to another table.

    with dynamodb_local() as local, OwnBackups(local) as server:  # `server` has url, environment and client() as `local`

A proxy: what is no call of these goes on to DynamoDB Local. As of the service, what is restored has the rows and the
keys of the table, and neither its time to live nor its tags, stream or protection.
"""
import http.client
import http.server
import json
import threading
import time

KEYS = ("AttributeDefinitions", "KeySchema")


class OwnBackups:
    def __init__(self, local):
        self.local, self.ddb, self.backups = local, local.client("dynamodb"), {}
        serving = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = self.headers["X-Amz-Target"].split(".")[1]
                own = getattr(serving, operation, None)
                status, reply = own(json.loads(body)) if own else serving.passed_on(self.path, body, self.headers)
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = "http://127.0.0.1:%d" % self.port
        self.environment = {**local.environment, "AWS_ENDPOINT_URL_DYNAMODB": self.url}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def client(self, service):
        return self.local.client(service)

    def passed_on(self, path, body, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.local.port)
        connection.request("POST", path, body, {name: value for name, value in headers.items() if name.lower() != "accept-encoding"})
        answer = connection.getresponse()
        reply = answer.status, answer.read()
        connection.close()
        return reply

    @staticmethod
    def told(**reply):
        return 200, json.dumps(reply).encode()

    def CreateBackup(self, request):
        table = request["TableName"]
        described = self.ddb.describe_table(TableName=table)["Table"]
        arn = "%s/backup/%016d" % (described["TableArn"], len(self.backups))
        items = [item for page in self.ddb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True) for item in page["Items"]]
        details = {"BackupArn": arn, "BackupName": request["BackupName"], "BackupStatus": "AVAILABLE", "BackupCreationDateTime": time.time()}
        self.backups[arn] = {"table": table, "details": details, "keys": {name: described[name] for name in KEYS}, "items": items}
        return self.told(BackupDetails={**details, "BackupStatus": "CREATING"})

    def ListBackups(self, request):
        return self.told(BackupSummaries=[{**one["details"], "TableName": one["table"]} for one in self.backups.values()
                                          if request.get("TableName", one["table"]) == one["table"]])

    def DescribeBackup(self, request):
        one = self.backups[request["BackupArn"]]
        return self.told(BackupDescription={"BackupDetails": one["details"], "SourceTableDetails": {"TableName": one["table"]}})

    def RestoreTableFromBackup(self, request):
        one, table = self.backups[request["BackupArn"]], request["TargetTableName"]
        self.ddb.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", **one["keys"])
        for item in one["items"]:
            self.ddb.put_item(TableName=table, Item=item)
        return self.told(TableDescription={"TableName": table, "TableStatus": "CREATING"})
