"""A client of DynamoDB Local."""
import http.client
import json

import measuring


class DynamoClient:
    """As much of DynamoDB as a bench needs, so that it does with Python alone."""
    HEADERS = {"Content-Type": "application/x-amz-json-1.0",
               "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/"
                                "aws4_request, SignedHeaders=host, Signature=0"}

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def close(self):
        self.connection.close()

    def call(self, action, **body):
        self.connection.request("POST", "/", json.dumps(body), {
            **self.HEADERS, "X-Amz-Target": f"DynamoDB_20120810.{action}"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise measuring.Failed(f"{action}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def create(self, table, key=("id",), **more):
        """Keys are texts; `more` goes into the call as it is."""
        kinds = ("HASH", "RANGE")
        attributes = [{"AttributeName": part, "AttributeType": "S"} for part in key]
        attributes += more.pop("AttributeDefinitions", [])
        self.call("CreateTable", TableName=table, BillingMode="PAY_PER_REQUEST",
                  KeySchema=[{"AttributeName": part, "KeyType": kinds[at]}
                             for at, part in enumerate(key)],
                  AttributeDefinitions=attributes, **more)

    def put(self, table, rows):
        waiting = []
        for row in rows:
            waiting.append({"PutRequest": {"Item": item_of(row)}})
            if len(waiting) == 25:
                self.write({table: waiting})
                waiting = []
        if waiting:
            self.write({table: waiting})

    def write(self, left):
        while left:
            left = self.call("BatchWriteItem", RequestItems=left)["UnprocessedItems"]

    def scan(self, table):
        return map(row_of, self.items(table))

    def items(self, table, **more):
        """`more` goes into each call as it is: a segment, for example."""
        while True:
            page = self.call("Scan", TableName=table, ConsistentRead=True, **more)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def item_of(row):
    return {name: {"NULL": True} if value is None else
            {"N": str(value)} if isinstance(value, int) else {"S": value}
            for name, value in row.items()}


def row_of(item):
    return {name: None if "NULL" in value else
            int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}
