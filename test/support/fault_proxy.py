#!/usr/bin/env python3
"""An HTTP proxy between a DynamoDB client and DynamoDB Local that injects what DynamoDB Local never does.

    with FaultProxy("http://127.0.0.1:8000", seed=7, faults={"throttle": 0.05}) as proxy:
        client = boto3.client("dynamodb", endpoint_url=proxy.url)
        proxy.set(reset_after={"rate": 1, "times": 1})
        proxy.counters()["faults"]

    fault_proxy.py http://127.0.0.1:8000 --port 8001 --seed 7 --faults '{"throttle": 0.05}'
    curl -d '{"throttle": 0}' http://127.0.0.1:8001/__faults

It runs in a process of its own that ends with its parent. Unless a fault says otherwise, requests and replies pass
unchanged, byte for byte; a request whose reply the server lost ends in a reset and is never sent again on the quiet.
Faults are functions of the seed (fault_rules.py), shards of the seed and the records (fault_stream.py). A request
that a fault rewrites no longer fits its signature: the server behind must not check it, and DynamoDB Local does not.
"""
import argparse
import asyncio
import collections
import decimal
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fault_rules import (CONDITIONS, DATA, FAULTS, READS, REASONS, STREAMS, WRITES, Chance, Rules,  # noqa: E402
                         error, failed, reply_json, skewed, throttled, with_json)
from fault_stream import Refused, VirtualStream, read_iterator, trimmed  # noqa: E402
from fault_wire import ClientConnection, Lost, Message, Server, for_next_hop  # noqa: E402

CONTROL = "/__faults"
ITEMS_PER_BATCH_MAX = {"BatchWriteItem": 25, "BatchGetItem": 100, "BatchExecuteStatement": 25}
STREAM_LABEL = re.compile(rb"/stream/[0-9T:.\-]+")
UNSIGNED = b"AWS4-HMAC-SHA256 Credential=faultproxy/20260101/us-east-1/dynamodb/aws4_request, " \
           b"SignedHeaders=host, Signature=0"


class Reset(Exception):
    """The client's connection is to end here."""


quoted = json.encoder.encode_basestring_ascii


def compact(payload):
    return json.dumps(payload, separators=(",", ":")).encode()


def parsed(body):
    try:
        payload = json.loads(body)
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def same_number(text):
    """One spelling for each number: `1`, `1.0` and `1e0` are one key to DynamoDB."""
    try:
        number = decimal.Decimal(text)
        return str(int(number)) if number == number.to_integral_value() else str(number.normalize())
    except (ArithmeticError, ValueError):
        return text


def key_text(key):
    """The name under which a key is counted: its DynamoDB JSON, sorted, numbers in one spelling."""
    if len(key) == 1:  # The usual key, ten times as fast.
        (name, value), = key.items()
        if len(value) == 1 and isinstance(value.get("S"), str):
            return '{%s:{"S":%s}}' % (quoted(name), quoted(value["S"]))
    same = {name: {"N": same_number(value["N"])} if "N" in value else value for name, value in key.items()}
    return json.dumps(same, sort_keys=True, separators=(",", ":"))


def table_of(name):
    """The table's name, of a name, a table's ARN, a stream's ARN or an iterator."""
    return name.split(":table/", 1)[1].split("/", 1)[0] if ":table/" in name else name


class Schema:
    def __init__(self, description):
        self.hash = next(k["AttributeName"] for k in description["KeySchema"] if k["KeyType"] == "HASH")
        self.keys = tuple(k["AttributeName"] for k in description["KeySchema"])
        self.indexes = [i["IndexName"] for i in description.get("GlobalSecondaryIndexes", ())]

    def key_of(self, item):
        return {name: item[name] for name in self.keys if name in item}


class Request:
    """One request as the faults look at it."""

    def __init__(self, message, connection):
        self.message, self.connection, self.faults, self.chance = message, connection, [], None
        self.writes = ()
        self.op = message.get(b"x-amz-target").decode("latin-1").rpartition(".")[2]
        self.body = parsed(message.body) if message.body else {}
        scope = message.get(b"authorization").split(b"Credential=")[-1].split(b",")[0].split(b"/")
        self.region = scope[-3].decode("latin-1") if len(scope) >= 5 else "us-east-1"
        self.tables = self._tables()

    def _tables(self):
        try:
            if "RequestItems" in self.body:
                return [table_of(name) for name in self.body["RequestItems"]]
            for field in ("TableName", "StreamArn", "ShardIterator"):
                if field in self.body:
                    return [table_of(self.body[field])]
            return sorted({table_of(one["TableName"]) for each in self.body.get("TransactItems", ())
                           for one in each.values()})
        except (TypeError, KeyError, AttributeError):
            return []

    def struck(self, fault):
        self.faults.append(fault)


class Counters:
    """What passed: by operation, by key, by second."""

    def __init__(self):
        self.started = time.monotonic()
        self.requests, self.statuses, self.faults = (collections.Counter() for _ in range(3))
        self.moments, self.items = collections.Counter(), collections.defaultdict(collections.Counter)
        self.keys = collections.defaultdict(collections.Counter)
        self.capacity = {}
        self.in_flight_max = self.server_lost = self.proxy_errors = self.overlapping_writes = 0
        self.bytes_in = self.bytes_out = 0

    def consumed(self, resource, way, units):
        seconds = self.capacity.setdefault(resource, {}).setdefault(way, collections.Counter())
        seconds[int(time.monotonic() - self.started)] += units

    def told(self):
        return {
            "seconds": time.monotonic() - self.started, "requests": self.requests, "statuses": self.statuses,
            "faults": self.faults, "inconsistent": self.moments, "items_written": self.items,
            "keys_written": {table: len(keys) for table, keys in self.keys.items()},
            "capacity": {resource: {way: {"total": sum(s.values()), "per_second": sorted(s.items())}
                                    for way, s in ways.items()} for resource, ways in self.capacity.items()},
            "in_flight_max": self.in_flight_max, "overlapping_writes": self.overlapping_writes,
            "server_lost": self.server_lost, "proxy_errors": self.proxy_errors,
            "connections": ClientConnection.count, "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
        }


class Followed:
    """A virtual stream and how far the server's own stream has been read into it."""

    def __init__(self):
        self.stream, self.description, self.lock, self.read_from = None, None, asyncio.Lock(), -1.0
        self.server_shards, self.server_shard, self.server_iterator, self.server_last = [], None, None, None
        self.described = -1.0


class Proxy:
    def __init__(self, host, port, seed=0, faults=None, log=None, count_keys=True, measure_capacity=False):
        self.server, self.seed, self.rules = Server(host, port), seed, Rules(faults or {})
        self.upstream_host = b"%s:%d" % (host.encode(), port)
        self.log = open(log, "a", buffering=1) if log else None
        self.count_keys, self.measure_capacity = count_keys, measure_capacity
        self.counters, self.schemas, self.streams = Counters(), {}, {}
        self.seen, self.buckets, self.hot = collections.Counter(), {}, {}
        self.in_flight, self.keys_in_flight, self.background = 0, collections.Counter(), set()

    # One request, from its arrival to the last byte of its reply.

    async def serve(self, connection, message):
        path = message.start.split(b" ")[1].decode("latin-1") if message.start.count(b" ") == 2 else "/"
        if path.startswith(CONTROL):
            reply = await self.control(message.start.split(b" ")[0].decode(), path, message)
            connection.write(reply.head(), reply.body)
            return
        began, request, status = time.monotonic(), Request(message, connection), 0
        self.counters.requests[request.op or "none"] += 1
        self.counters.bytes_in += len(message.body)
        self.in_flight += 1
        self.counters.in_flight_max = max(self.counters.in_flight_max, self.in_flight)
        writing = ()
        try:
            self.identify(request)
            if self.count_keys:
                writing = request.writes = await self.writes(request, request.body)
            self.enter(writing)
            reply = await self.answer(request)
            status = reply.status()
            await self.send(request, reply)
        except Reset:
            connection.reset()
        except Lost:
            self.counters.server_lost += 1
            connection.reset()
        except Exception:  # A fault of ours must show as one, and not as an answer.
            self.counters.proxy_errors += 1
            traceback.print_exc()
            connection.reset()
        finally:
            self.leave(writing)
            self.in_flight -= 1
            self.counters.statuses[str(status)] += 1
            self.counters.faults.update(request.faults)
            if self.log:
                self.log.write(json.dumps({
                    "at": round(began - self.counters.started, 6), "ms": round(1000 * (time.monotonic() - began), 3),
                    "connection": connection.number, "op": request.op, "tables": request.tables,
                    "bytes": len(message.body), "status": status, "faults": request.faults,
                    "keys": [key for _, key, _ in writing]}) + "\n")

    def identify(self, request):
        """Gives the request its chances: by its content and how often that content came."""
        identity = request.message.body
        if request.op in STREAMS:
            virtual = read_iterator(request.body.get("ShardIterator", ""))
            followed = self.streams.get(virtual[0] if virtual else request.body.get("StreamArn"))
            if followed and followed.stream:
                name = virtual[1] if virtual else request.body.get("ShardId")
                shard = followed.stream.by_name.get(name)
                identity = repr((request.tables, shard.number if shard else None, virtual and virtual[2],
                                 request.body.get("ShardIteratorType"), request.body.get("SequenceNumber"))).encode()
            else:
                identity = STREAM_LABEL.sub(b"", identity)
        digest = Chance(self.seed, request.op, identity).key
        self.seen[digest] += 1
        request.chance = Chance(self.seed, digest, self.seen[digest])

    async def answer(self, request):
        strikes = self.rules.strikes
        refusal = await self.refusal(request)
        if refusal is not None:
            return refusal
        late = strikes("late_delivery", request)
        if late:
            self.later(late["seconds"], request)
            raise Reset()
        if request.op in STREAMS:
            reply = await self.stream_reply(request)
        else:
            reply = await self.deliver(request)
        if strikes("error_500_after", request):
            reply = failed(request, 500)
        if strikes("error_503_after", request):
            reply = failed(request, 503)
        if strikes("reset_after", request):
            raise Reset()
        return reply

    async def refusal(self, request):
        """The reply of a server that does not even look at the request; None when it does."""
        strikes = self.rules.strikes
        skew = strikes("clock_skew", request)
        if skew:
            reply = skewed(request, skew["seconds"])
            if reply is not None and request.chance.below(skew["rate"], "clock_skew"):
                skew.struck += 1
                request.struck("clock_skew")
                return reply
        if strikes("unrecognized_client", request):
            return error("UnrecognizedClientException", "The security token included in the request is invalid.",
                         "com.amazon.coral.service#")
        if strikes("expired_token", request):
            return error("ExpiredTokenException", "The security token included in the request is expired",
                         "com.amazon.coral.service#")
        denied = strikes("access_denied", request)
        if denied:
            return error("AccessDeniedException", "User: arn:aws:iam::000000000000:user/test is not authorized to "
                         "perform: %s on resource: %s" % (denied["action"] or "dynamodb:" + request.op,
                                                          (request.tables or ["*"])[0]),
                         "com.amazon.coral.service#", label="Message")
        if strikes("reset_before", request):
            raise Reset()
        for status in (500, 503):
            if strikes("error_%d_before" % status, request):
                return failed(request, status)
        rule = strikes("throttle", request)
        if rule:
            schema = await self.schema(request, request.tables)
            return throttled(request, rule["reason"], schema, rule["type"])
        return await self.over_capacity(request) or await self.hot_item(request)

    async def send(self, request, reply):
        """The reply to the client, with what may happen to it on the way."""
        connection, strikes = request.connection, self.rules.strikes
        reply = for_next_hop(reply)
        if self.rules.rules.get("clock_skew"):
            seconds = self.rules.rules["clock_skew"][0]["seconds"]
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))
            reply = reply.with_field(b"Date", date.encode())
        if strikes("wrong_crc32", request):
            right = int(reply.get(b"x-amz-crc32") or b"0")
            reply = reply.with_field(b"x-amz-crc32", b"%d" % (right ^ 0x5A5A5A5A))
        hold = strikes("hold_reply", request)
        if hold:
            await asyncio.sleep(hold["seconds"])
        self.counters.bytes_out += len(reply.body)
        if strikes("reset_mid_reply", request):
            connection.write(reply.head(), reply.body[:len(reply.body) // 2])
            await connection.flushed()
            await asyncio.sleep(0.03)  # A reset that comes with the bytes would throw them away unread.
            if request.chance.below(0.5, "mid reply"):
                raise Reset()
            connection.transport.close()
            return
        slow = strikes("slow_reply", request)
        if slow:
            whole = reply.head() + reply.body
            size = max(1, -(-len(whole) // slow["pieces"]))
            for first in range(0, len(whole), size):
                connection.write(whole[first:first + size])
                await asyncio.sleep(slow["seconds"] / slow["pieces"])
            return
        connection.write(reply.head() + reply.body if len(reply.body) < 65536 else reply.head(), *(
            () if len(reply.body) < 65536 else (reply.body,)))

    # To the server and back.

    async def deliver(self, request):
        """The request sent on, whole or in part, once or twice."""
        kept, held = await self.split(request)
        payload, message = request.body, request.message
        if held:
            payload = dict(request.body, **kept)
        asked = payload.get("ReturnConsumedCapacity", "NONE")
        measure = (self.measure_capacity or self.rules.conditions["capacity"]) and asked != "INDEXES" \
            and request.op in DATA and payload
        if measure:
            payload = dict(payload, ReturnConsumedCapacity="INDEXES")
        if held or measure:
            message = message.with_body(compact(payload))
        if held and not any(kept.values()):
            return reply_json(200, self.nothing_done(request, held))
        if request.op in ("CreateTable", "DeleteTable", "UpdateTable"):
            for table in request.tables:
                self.schemas.pop(table, None)
        reply, body = await self.ask(request, message, payload)
        twice = self.rules.strikes("duplicate", request)
        if twice and twice["seconds"]:
            self.later(twice["seconds"], request, message, payload)
        elif twice:
            again = await self.ask(request, message, payload)
            if twice["answer"] == "second":
                reply, body = again
        if reply.status() == 200 and (held or measure):
            body = dict(body or self.read(reply))
            if held:
                self.weave(request, body, held)
            if measure:
                self.unmeasure(body, asked)
            reply = with_json(reply, body)
        return reply

    async def ask(self, request, message, payload):
        """(reply, its payload if it was read). Counts what the server says it did, whoever learns of it."""
        reply = await self.server.ask(message)
        if reply.status() != 200 or request.op not in DATA:
            return reply, None
        body = None
        if payload.get("ReturnConsumedCapacity", "NONE") != "NONE":
            body = self.read(reply)
            self.count_capacity(request, body)
        if self.count_keys and request.op in WRITES:
            left = {}
            if request.op == "BatchWriteItem" and b'"UnprocessedItems":{}' not in reply.body:
                body = body or self.read(reply)
                left = body.get("UnprocessedItems") or {}
            whole = payload.get("RequestItems") is request.body.get("RequestItems")
            written = collections.Counter(request.writes if whole else await self.writes(request, payload))
            if left:
                written -= collections.Counter(await self.writes(request, {"RequestItems": left}))
            for (table, key, kind), times in written.items():
                self.counters.items[table][kind] += times
                self.counters.keys[table][key] += times
        return reply, body

    def later(self, seconds, request, message=None, payload=None):
        async def deliver():
            await asyncio.sleep(seconds)
            try:
                await self.ask(request, message or request.message, payload or request.body)
            except Lost:
                self.counters.server_lost += 1
        task = asyncio.get_running_loop().create_task(deliver())
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    @staticmethod
    def read(reply):
        return parsed(gzip.decompress(reply.body) if reply.get(b"content-encoding") == b"gzip" else reply.body)

    async def inquire(self, like, target, payload):
        """A question of our own, in the name of the client whose request gave rise to it."""
        body = compact(payload)
        authorization = like.message.get(b"authorization", UNSIGNED) if like else UNSIGNED
        token = like.message.get(b"x-amz-security-token") if like else b""
        fields = [(b"Host", self.upstream_host), (b"Content-Type", b"application/x-amz-json-1.0"),
                  (b"X-Amz-Target", target.encode()), (b"Authorization", authorization or UNSIGNED),
                  (b"X-Amz-Date", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()),
                  (b"Content-Length", b"%d" % len(body))]
        if token:
            fields.append((b"X-Amz-Security-Token", token))
        reply = await self.server.ask(Message(b"POST / HTTP/1.1", fields, body))
        return reply, self.read(reply)

    async def schema(self, request, tables):
        """The key schema of the first of these tables, from the server once; None when there is none."""
        if not tables:
            return None
        table = tables[0]
        if table not in self.schemas:
            reply, body = await self.inquire(request, "DynamoDB_20120810.DescribeTable", {"TableName": table})
            if reply.status() != 200:
                return None
            self.schemas[table] = Schema(body["Table"])
        return self.schemas[table]

    async def writes(self, request, payload):
        """[(table, key, kind)] of what a request is to write."""
        found, op = [], request.op
        try:
            if op == "PutItem":
                found = [(payload["TableName"], payload["Item"], "put", False)]
            elif op in ("UpdateItem", "DeleteItem"):
                found = [(payload["TableName"], payload["Key"], op[:6].lower(), True)]
            elif op == "BatchWriteItem":
                for table, each in payload["RequestItems"].items():
                    for one in each:
                        if "PutRequest" in one:
                            found.append((table, one["PutRequest"]["Item"], "put", False))
                        else:
                            found.append((table, one["DeleteRequest"]["Key"], "delete", True))
            elif op == "TransactWriteItems":
                for each in payload["TransactItems"]:
                    for kind, one in each.items():
                        if kind != "ConditionCheck":
                            found.append((one["TableName"], one.get("Item") or one["Key"], kind.lower(), kind != "Put"))
            told = []
            for table, item, kind, is_key in found:
                table = table_of(table)
                if not is_key:
                    schema = await self.schema(request, [table])
                    if schema is None:
                        continue
                    item = schema.key_of(item)
                told.append((table, key_text(item), kind))
            return told
        except (KeyError, TypeError, AttributeError):  # Not a request the server will take either.
            return []

    def enter(self, writing):
        for table, key, _ in writing:
            self.counters.overlapping_writes += self.keys_in_flight[table, key] > 0
            self.keys_in_flight[table, key] += 1

    def leave(self, writing):
        for table, key, _ in writing:
            self.keys_in_flight[table, key] -= 1
            if not self.keys_in_flight[table, key]:
                del self.keys_in_flight[table, key]

    # Batches in part.

    async def split(self, request):
        """({field: what goes to the server}, what is held back), or (None, None) for all of it."""
        if request.op not in ITEMS_PER_BATCH_MAX:
            return None, None
        rule = self.rules.strikes("unprocessed", request)
        hot = self.rules.strikes("hot_key", request)
        if not rule and not hot:
            return None, None
        entries = await self.entries(request)
        if entries is None:
            if rule:
                rule.struck -= 1
                request.faults.remove("unprocessed")
            return None, None
        everything = rule and request.chance.below(rule["all"], "all")
        left, held = [], []
        for number, (table, entry, key, partition) in enumerate(entries):
            back = rule and (everything or request.chance.below(rule["share"], "item %d" % number))
            if hot and not back and partition is not None and self.is_refused(hot, request, table, partition, number):
                back = True
                hot.struck += 1
                request.struck("hot_key")
            (held if back else left).append((number, table, entry))
        if not held:
            if rule:  # It said this batch is not whole; one item is the least.
                held.append(left.pop(int(request.chance.uniform("one") * len(left))))
            else:
                return None, None
        return self.grouped(request, left), held

    async def entries(self, request):
        """[(table, entry, key, partition)] of a batch that the server would take; None for another.

        A batch that is refused whole has to be refused whole here too: in two halves, two writes of one key would pass.
        """
        entries, keys = [], set()
        try:
            if request.op == "BatchExecuteStatement":
                entries = [(None, one, None, None) for one in request.body["Statements"]]
            else:
                for name, asked in request.body["RequestItems"].items():
                    schema = await self.schema(request, [table_of(name)])
                    for one in asked if request.op == "BatchWriteItem" else asked["Keys"]:
                        if request.op == "BatchGetItem":
                            key = one
                        elif "PutRequest" in one:
                            key = schema.key_of(one["PutRequest"]["Item"])
                        else:
                            key = one["DeleteRequest"]["Key"]
                        text = name, key_text(key)
                        if text in keys or set(key) != set(schema.keys):
                            return None
                        keys.add(text)
                        entries.append((name, one, text[1], key_text({schema.hash: key[schema.hash]})))
        except (KeyError, TypeError, AttributeError):
            return None
        return entries if 0 < len(entries) <= ITEMS_PER_BATCH_MAX[request.op] else None

    @staticmethod
    def grouped(request, entries):
        if request.op == "BatchExecuteStatement":
            return {"Statements": [entry for _, _, entry in entries]}
        tables = {}
        for _, table, entry in entries:
            tables.setdefault(table, []).append(entry)
        if request.op == "BatchGetItem":
            tables = {table: dict(request.body["RequestItems"][table], Keys=keys) for table, keys in tables.items()}
        return {"RequestItems": tables}

    def nothing_done(self, request, held):
        body = {"Responses": {}} if request.op == "BatchGetItem" else {}
        if request.op == "BatchGetItem":
            body["Responses"] = {table: [] for _, table, _ in held}
        if request.body.get("ReturnConsumedCapacity", "NONE") != "NONE":
            body["ConsumedCapacity"] = [{"TableName": table, "CapacityUnits": 0.0}
                                        for table in sorted({table for _, table, _ in held if table})]
        self.weave(request, body, held)
        return body

    def weave(self, request, body, held):
        """Puts what was held back into the server's reply."""
        if request.op == "BatchExecuteStatement":
            done, told = list(body.get("Responses", ())), []
            back = {number for number, _, _ in held}
            for number in range(len(held) + len(done)):
                told.append({"Error": {"Code": "ThrottlingError", "Message": "injected by the fault proxy"}}
                            if number in back else done.pop(0))
            body["Responses"] = told
            return
        field = "UnprocessedItems" if request.op == "BatchWriteItem" else "UnprocessedKeys"
        unprocessed = dict(body.get(field) or {})
        for table, entries in self.grouped(request, held)["RequestItems"].items():
            if table not in unprocessed:
                unprocessed[table] = entries
            elif field == "UnprocessedItems":
                unprocessed[table] = unprocessed[table] + entries
            else:
                unprocessed[table] = dict(entries, Keys=unprocessed[table]["Keys"] + entries["Keys"])
        body[field] = unprocessed

    # Hot keys and capacity.

    async def hot_item(self, request):
        if request.op not in ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "BatchWriteItem", "BatchGetItem"):
            return None
        if "hot_key" not in self.rules.rules:
            return None
        schema = await self.schema(request, request.tables)
        if request.op.startswith("Batch"):  # Refused only as a whole; a part is left unprocessed.
            return None
        item = request.body.get("Item") or request.body.get("Key") or {}
        rule = self.rules.strikes("hot_key", request)
        if not rule or schema is None or schema.hash not in item:
            return None
        partition = key_text({schema.hash: item[schema.hash]})
        if not self.is_refused(rule, request, request.tables[0], partition, 0):
            return None
        rule.struck += 1
        request.struck("hot_key")
        return throttled(request, rule["reason"], None, limits=("KeyRangeThroughputExceeded",))

    def is_refused(self, rule, request, table, partition, number):
        if rule["keys"]:
            value = next(iter(next(iter(json.loads(partition).values())).values()))
            if value not in rule["keys"]:
                return False
        elif not Chance(self.seed, "hot", table_of(table), partition).below(rule["share"], ""):
            return False
        if rule["per_second"] is not None:
            now = time.monotonic()
            units, since = self.hot.get((table, partition), (rule["per_second"], now))
            units = min(rule["per_second"], units + (now - since) * rule["per_second"])
            allowed = units >= 1
            self.hot[table, partition] = units - allowed, now
            return not allowed
        return request.chance.below(rule["rate"], "hot %d" % number)

    async def over_capacity(self, request):
        """Real throttling: a bucket for each table or table/index of `capacity`, emptied by what replies say."""
        limits = self.rules.conditions["capacity"]
        if not limits or request.op not in DATA:
            return None
        way = "read" if request.op in READS else "write"
        for resource, limit in limits.items():
            table, _, index = resource.partition("/")
            if way in limit and table in request.tables and self.balance(resource, way, limit) <= 0 \
                    and (not index or way == "write" or request.body.get("IndexName") == index):
                request.struck("capacity")
                reason = ("Index" if index else "Table") + way.capitalize() + "ProvisionedThroughputExceeded"
                schema = await self.schema(request, [table])
                if index and schema:
                    schema = argparse.Namespace(indexes=[index])
                return throttled(request, reason, schema)
        return None

    def balance(self, resource, way, limit, spent=0.0):
        now, rate = time.monotonic(), limit[way]
        most = rate * limit.get("burst_seconds", 1.0)
        units, since = self.buckets.get((resource, way), (most, now))
        units = min(most, units + (now - since) * rate) - spent
        self.buckets[resource, way] = units, now
        return units

    def count_capacity(self, request, body):
        consumed = body.get("ConsumedCapacity") or []
        way = "read" if request.op in READS else "write"
        for entry in consumed if isinstance(consumed, list) else [consumed]:
            table, total = table_of(entry.get("TableName", "")), entry.get("CapacityUnits", 0)
            indexes = entry.get("GlobalSecondaryIndexes") or {}
            own = total - sum(i.get("CapacityUnits", 0) for i in indexes.values())
            for resource, units in [(table, own)] + [("%s/%s" % (table, name), i.get("CapacityUnits", 0))
                                                     for name, i in indexes.items()]:
                self.counters.consumed(resource, way, units)
                limit = self.rules.conditions["capacity"].get(resource, {})
                if way in limit:
                    self.balance(resource, way, limit, units)

    @staticmethod
    def unmeasure(body, asked):
        """Takes out of the reply what we asked for and the client did not."""
        if asked == "NONE":
            body.pop("ConsumedCapacity", None)
            return
        consumed = body.get("ConsumedCapacity") or []
        for entry in consumed if isinstance(consumed, list) else [consumed]:
            for detail in ("Table", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
                entry.pop(detail, None)

    # Streams.

    async def stream_reply(self, request):
        strikes, body = self.rules.strikes, request.body
        if strikes("expired_iterator", request):
            return error("ExpiredIteratorException", "Iterator expired; injected by the fault proxy")
        if strikes("trimmed", request):
            return trimmed()
        virtual = read_iterator(body.get("ShardIterator", "")) if request.op == "GetRecords" else None
        arn = virtual[0] if virtual else body.get("StreamArn") or body.get("ShardIterator", "").split("|")[0]
        wanted = self.rules.conditions["shards"] or self.rules.conditions["retention_records"] is not None
        if request.op == "ListStreams" or not (wanted or arn in self.streams):
            if request.op == "GetRecords" and strikes("empty_page", request):
                return reply_json(200, {"Records": [], "NextShardIterator": body.get("ShardIterator")})
            return await self.server.ask(request.message)
        try:
            return await self.virtual_reply(request, arn, virtual)
        except Refused as refused:
            return refused.reply

    async def virtual_reply(self, request, arn, virtual):
        body, now = request.body, time.time()
        followed = await self.followed(request, arn)
        stream = followed.stream
        if request.op == "DescribeStream":
            only = body.get("ShardFilter") or {}
            shards, last, moment = stream.describe(body.get("Limit"), body.get("ExclusiveStartShardId"),
                                                   only.get("ShardId"), request.chance)
            if moment:
                self.counters.moments[moment] += 1
            description = dict(followed.description, Shards=shards)
            description.pop("LastEvaluatedShardId", None)
            if last:
                description["LastEvaluatedShardId"] = last
            return reply_json(200, {"StreamDescription": description})
        if request.op == "GetShardIterator":
            return reply_json(200, {"ShardIterator": stream.iterator(
                body.get("ShardId"), body.get("ShardIteratorType"), body.get("SequenceNumber"), now)})
        if virtual is None or now - virtual[3] > self.rules.conditions["iterator_seconds"]:
            raise Refused(error("ExpiredIteratorException", "Iterator expired"))
        _, name, index, _ = virtual
        if name not in stream.by_name:
            raise Refused(trimmed())
        empty = bool(self.rules.strikes("empty_page", request))
        records, following = stream.read(name, index, body.get("Limit"), request.chance, now, empty)
        tail = b',"NextShardIterator":%s}' % json.dumps(following).encode() if following else b"}"
        return reply_json(200, b'{"Records":[' + b",".join(records) + b"]" + tail)

    async def followed(self, request, arn):
        """The virtual stream, with every record that the server had when this was called."""
        followed, called = self.streams.setdefault(arn, Followed()), time.monotonic()
        async with followed.lock:
            if followed.read_from >= called:
                return followed
            began = time.monotonic()
            try:
                await self.read_on(request, arn, followed)
            except Refused:
                if followed.stream is None:
                    self.streams.pop(arn, None)
                raise
            followed.read_from = began
        return followed

    async def read_on(self, request, arn, followed):
        # The description first: a stream that it calls disabled gets no record after it.
        if request is None or request.op == "DescribeStream" or time.monotonic() - followed.described > 0.25:
            await self.server_shards(request, arn, followed)
        description = followed.description
        if followed.stream is None:
            root = followed.server_shards[0]
            followed.stream = VirtualStream(
                self.seed, arn, self.rules.conditions["shards"], root["ShardId"],
                root["SequenceNumberRange"]["StartingSequenceNumber"],
                next(k["AttributeName"] for k in description["KeySchema"] if k["KeyType"] == "HASH"))
        stream = followed.stream
        if stream.disabled:
            return
        while True:
            if followed.server_shard is None:
                followed.server_shard = followed.server_shards[0]["ShardId"]
            if followed.server_iterator is None:
                asked = {"StreamArn": arn, "ShardId": followed.server_shard, "ShardIteratorType": "TRIM_HORIZON"}
                if followed.server_last is not None:
                    asked.update(ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=followed.server_last)
                followed.server_iterator = (await self.told(request, "GetShardIterator", asked))["ShardIterator"]
            try:
                page = await self.told(request, "GetRecords", {"ShardIterator": followed.server_iterator})
            except Refused as refused:
                # The server trims a young stream beneath an iterator of its own beginning.
                young = b"TrimmedDataAccess" in refused.reply.body and followed.server_last is None
                if b"ExpiredIterator" not in refused.reply.body and not young:
                    raise
                followed.server_iterator = None
                continue
            for record in page["Records"]:
                stream.append(record)
                followed.server_last = record["dynamodb"]["SequenceNumber"]
            followed.server_iterator = page.get("NextShardIterator")
            if followed.server_iterator is None:
                names = [shard["ShardId"] for shard in followed.server_shards]
                later = names[names.index(followed.server_shard) + 1:]
                if not later:
                    break
                followed.server_shard, followed.server_last = later[0], None
            elif not page["Records"]:
                break
        if description["StreamStatus"] == "DISABLED":
            stream.disable()
        if self.rules.conditions["retention_records"] is not None:
            stream.trim_to_last(self.rules.conditions["retention_records"])

    async def server_shards(self, request, arn, followed):
        shards, after = [], {}
        while True:
            description = (await self.told(request, "DescribeStream", {"StreamArn": arn, **after}))["StreamDescription"]
            shards += description.pop("Shards")
            if not description.get("LastEvaluatedShardId"):
                followed.server_shards, followed.description = shards, description
                followed.described = time.monotonic()
                return
            after = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}

    async def told(self, request, op, payload):
        reply, body = await self.inquire(request, "DynamoDBStreams_20120810." + op, payload)
        if reply.status() != 200:
            raise Refused(reply)
        return body

    async def trim(self, asked):
        arn = asked.get("stream")
        if arn is None:
            reply, body = await self.inquire(None, "DynamoDB_20120810.DescribeTable", {"TableName": asked["table"]})
            arn = body.get("Table", {}).get("LatestStreamArn") if reply.status() == 200 else None
            if arn is None:
                raise ValueError("table %s has no stream" % asked["table"])
        stream = (await self.followed(None, arn)).stream
        if "through" in asked:
            stream.trim(int(asked["through"]))
        elif "older_than" in asked:
            stream.trim_older(time.time() - float(asked["older_than"]))
        else:
            stream.trim_to_last(int(asked.get("keep", 0)))
        return {"stream": arn, "trimmed_through": stream.trimmed_through, "last": stream.last_sequence}

    # Control.

    async def control(self, method, path, message):
        address = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(address.query))
        where = address.path[len(CONTROL):].strip("/")
        try:
            if where == "counters":
                if method == "DELETE":
                    self.counters = Counters()
                return reply_json(200, self.counters.told())
            if where == "keys":
                return reply_json(200, self.counters.keys.get(query.get("table"), {}))
            if where == "trim":
                return reply_json(200, await self.trim(json.loads(message.body)))
            if where == "":
                if method in ("POST", "PUT"):
                    self.rules.change(json.loads(message.body))
                elif method == "DELETE":
                    self.rules.clear()
                return reply_json(200, {"seed": self.seed, "faults": self.rules.asked})
        except Refused as refused:
            return refused.reply
        except Lost as lost:
            return reply_json(500, {"error": str(lost)})
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return reply_json(400, {"error": str(problem)})
        return reply_json(400, {"error": "%s knows counters, keys, trim" % CONTROL})


class FaultProxy:
    """The proxy in a process of its own, for a test. Leaving the `with` block ends it."""

    def __init__(self, upstream_url, seed=0, faults=None, port=0, log=None, count_keys=True, measure_capacity=False):
        self.arguments = [sys.executable, os.path.abspath(__file__), upstream_url, "--port", str(port), "--seed",
                          str(seed), "--faults", json.dumps(faults or {}), "--ends-with-stdin"]
        self.arguments += ["--log", log] if log else []
        self.arguments += [] if count_keys else ["--no-keys"]
        self.arguments += ["--measure-capacity"] if measure_capacity else []
        self.process, self.url = None, None
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            self.__exit__()
            raise RuntimeError("the fault proxy did not start; its message is on stderr")
        self.url = line[1]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _control(self, method, where="", payload=None):
        body = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(self.url + CONTROL + where, data=body, method=method)
        try:
            with self.opener.open(request, timeout=60) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as problem:
            raise ValueError(problem.read().decode()) from None

    def set(self, faults=None, **more):
        """Sets these faults, leaves the others; 0, False or None takes one away."""
        return self._control("POST", payload={**(faults or {}), **more})["faults"]

    def clear(self):
        self._control("DELETE")

    def faults(self):
        return self._control("GET")["faults"]

    def counters(self):
        return self._control("GET", "/counters")

    def reset_counters(self):
        self._control("DELETE", "/counters")

    def keys_written(self, table):
        """{key_text(key): how often the server wrote it}"""
        return self._control("GET", "/keys?table=" + urllib.parse.quote(table))

    def trim(self, table=None, stream=None, **how):
        """The stream forgets its records now: keep=N (default 0), through=SEQUENCE or older_than=SECONDS."""
        where = {"stream": stream} if stream else {"table": table}
        return self._control("POST", "/trim", {**where, **how})


def command_line():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Faults: %s.\nConditions: %s.\nA fault is a rate, or an object with any of rate, ops, tables, times, "
               "after\nand its own fields, or a list of such objects:\n%s\nThrottling reasons:\n  %s" % (
                   ", ".join(FAULTS), ", ".join(CONDITIONS),
                   "\n".join("  %-20s %s" % (name, json.dumps(own)) for name, (own, _) in FAULTS.items()) + "\n" +
                   "\n".join("  %-20s %s" % each for each in CONDITIONS.items()), "\n  ".join(REASONS)))
    parser.add_argument("upstream", help="the server, as http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, told on the first line of output")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--faults", type=json.loads, default={}, help="a JSON object")
    parser.add_argument("--log", help="a file that gets one JSON line a request")
    parser.add_argument("--no-keys", action="store_true", help="do not count writes by key")
    parser.add_argument("--measure-capacity", action="store_true", help="ask for consumed capacity in any case")
    parser.add_argument("--ends-with-stdin", action="store_true", help="end when standard input does")
    return parser.parse_args()


async def run(asked):
    upstream = urllib.parse.urlsplit(asked.upstream)
    if upstream.scheme != "http" or not upstream.hostname:
        sys.exit("the server's address is to be http://HOST:PORT, not %s" % asked.upstream)
    try:
        proxy = Proxy(upstream.hostname, upstream.port or 80, asked.seed, asked.faults, asked.log, not asked.no_keys,
                      asked.measure_capacity)
    except ValueError as problem:
        sys.exit("fault_proxy: %s" % problem)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if asked.ends_with_stdin:
        class Watch(asyncio.Protocol):
            def connection_lost(self, error):
                ended.set()
        await loop.connect_read_pipe(Watch, sys.stdin)
    listening = await loop.create_server(lambda: ClientConnection(proxy.serve), "127.0.0.1", asked.port, backlog=1024)
    print("ready http://127.0.0.1:%d" % listening.sockets[0].getsockname()[1], flush=True)
    parent = os.getppid()
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), 0.5)
        except asyncio.TimeoutError:
            # A pipe that another child of the parent inherited would outlive it.
            if asked.ends_with_stdin and os.getppid() != parent:
                break
    os._exit(0)  # Held replies and open connections end here, as a killed server's do.


if __name__ == "__main__":
    asyncio.run(run(command_line()))
