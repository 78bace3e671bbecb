#!/usr/bin/env python3
"""What the fault proxy promises, held against a real DynamoDB Local. Runs under tools/servers/python.

`fault_proxy_test.py [NAME...]`. FAULT_UPSTREAM=http://127.0.0.1:8000 takes a server that runs already.
"""
import collections
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

import boto3
import botocore.exceptions
from botocore.config import Config

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fault_proxy import FaultProxy, key_text  # noqa: E402
from fault_rules import REASONS  # noqa: E402

SEEDS = [int(seed) for seed in os.environ.get("FAULT_SEEDS", "1,2,3,4").split(",")]
SERVER = contextlib.ExitStack()
UPSTREAM = os.environ.get("FAULT_UPSTREAM")
TABLES = iter(range(1, 1000))
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


def setUpModule():
    global UPSTREAM
    if UPSTREAM is None:
        from servers import dynamodb_local
        UPSTREAM = SERVER.enter_context(dynamodb_local()).url


def tearDownModule():
    SERVER.close()


def client(url, service="dynamodb", tries=1, wait=10):
    config = Config(retries={"total_max_attempts": tries}, read_timeout=wait, max_pool_connections=70,
                    proxies={})
    return boto3.client(service, endpoint_url=url, config=config, **KEYS)


def new_table(stream=False, index=False, sort=False):
    name = "faults-%d-%d" % (os.getpid(), next(TABLES))
    more = {}
    names = ["pk"] + ["sk"] * sort + ["by"] * index
    if stream:
        more["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    if index:
        more["GlobalSecondaryIndexes"] = [{"IndexName": "by_by", "Projection": {"ProjectionType": "ALL"},
                                           "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}]}]
    client(UPSTREAM).create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}] + [{"AttributeName": "sk", "KeyType": "RANGE"}] * sort,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "N" if n == "sk" else "S"} for n in names], **more)
    return name


def item(key, value=0):
    return {"pk": {"S": key}, "v": {"N": str(value)}}


def puts(table, keys):
    return {table: [{"PutRequest": {"Item": item(key)}} for key in keys]}


def stored(table):
    pages = client(UPSTREAM).get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {one["pk"]["S"]: one for page in pages for one in page["Items"]}


def raw(url, op, body, connection=None, **more):
    with contextlib.ExitStack() as closing:
        if connection is None:
            connection = closing.enter_context(contextlib.closing(http.client.HTTPConnection(url[7:])))
        connection.request("POST", "/", body if isinstance(body, bytes) else json.dumps(body).encode(), {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810." + op,
            "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), "Authorization":
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, "
            "Signature=0", **more})
        reply = connection.getresponse()
        return reply, reply.read()


class Faults(unittest.TestCase):
    def proxy(self, seed=1, **more):
        settings = {name: more.pop(name) for name in ("log", "count_keys", "measure_capacity") if name in more}
        proxy = FaultProxy(UPSTREAM, seed=seed, faults=more, **settings)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        self.addCleanup(lambda: self.assertEqual(proxy.counters()["proxy_errors"], 0))
        return proxy

    def refused(self, code, call, *arguments, **named):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response


class PassThrough(Faults):
    def test_changes_no_byte_of_request_or_reply(self):
        proxy, table = self.proxy(), new_table()
        bodies = [
            ("PutItem", b'{"TableName":"%s", "Item": {"pk":{"S":"a"},"s":{"S":"\\ud800 \\u0000 \xc3\xa9"},'
                        b'"n":{"N":"1.50"}}}' % table.encode()),
            ("GetItem", {"TableName": table, "Key": {"pk": {"S": "a"}}, "ReturnConsumedCapacity": "INDEXES"}),
            ("GetItem", {"TableName": "no-such-table", "Key": {"pk": {"S": "a"}}}),
            ("PutItem", b"not json"), ("NoSuchOperation", b"{}"), ("Scan", {"TableName": table}),
        ]
        for op, body in bodies:
            through, straight = raw(proxy.url, op, body), raw(UPSTREAM, op, body)
            self.assertEqual(through[1], straight[1])
            self.assertEqual(through[0].status, straight[0].status)
            varying = ("date", "x-amzn-requestid", "connection")
            self.assertEqual(*([(n, v) for n, v in reply.getheaders() if n.lower() not in varying]
                               for reply, _ in (through, straight)))
            if through[0].status == 200:
                self.assertEqual(int(through[0].getheader("x-amz-crc32")), zlib.crc32(through[1]))

    def test_takes_bodies_of_sixteen_megabytes_chunked_or_not(self):
        proxy, table = self.proxy(), new_table()
        batch = {"RequestItems": {table: [{"PutRequest": {"Item": {"pk": {"S": "k%d" % n}, "b": {
            "S": "x" * 390_000}}}} for n in range(25)]}}
        body = json.dumps(batch).encode().ljust(15_900_000)
        self.assertEqual(raw(proxy.url, "BatchWriteItem", body)[0].status, 200)
        self.assertEqual(raw(proxy.url, "BatchWriteItem", body, Expect="100-continue")[0].status, 200)
        connection = http.client.HTTPConnection(proxy.url[7:])
        self.addCleanup(connection.close)
        connection.request("POST", "/", iter([body[:7], body[7:70_000], body[70_000:]]), {
            "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem", "Authorization": "AWS4-HMAC-SHA256 Credential=test/"
            "20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
            "X-Amz-Date": "20260101T000000Z"}, encode_chunked=True)
        self.assertEqual(connection.getresponse().status, 200)
        self.assertEqual(len(stored(table)), 25)
        self.assertEqual(raw(proxy.url, "BatchWriteItem", body.ljust(17_000_000))[0].status, 413)

    def test_serves_sixty_four_connections_and_counts_what_passed(self):
        proxy, table = self.proxy(), new_table()
        failures = []

        def write(worker):
            try:
                connection = http.client.HTTPConnection(proxy.url[7:])
                for batch in range(4):
                    keys = ["%d-%d-%d" % (worker, batch, n) for n in range(25)]
                    reply, body = raw(proxy.url, "BatchWriteItem", {"RequestItems": puts(table, keys),
                                                                    "ReturnConsumedCapacity": "TOTAL"}, connection)
                    assert reply.status == 200, body
            except Exception as error:
                failures.append(error)
        workers = [threading.Thread(target=write, args=(n,)) for n in range(64)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])
        counters = proxy.counters()
        self.assertEqual(counters["requests"], {"BatchWriteItem": 256})
        self.assertEqual(counters["items_written"][table], {"put": 6400})
        self.assertEqual(counters["keys_written"][table], 6400)
        self.assertEqual(counters["capacity"][table]["write"]["total"], 6400)
        self.assertGreater(counters["in_flight_max"], 8)
        self.assertEqual(counters["overlapping_writes"], 0)
        self.assertEqual(proxy.keys_written(table)[key_text({"pk": {"S": "7-1-3"}})], 1)

    def test_one_key_is_one_key_however_its_number_is_written(self):
        proxy, table = self.proxy(), new_table(sort=True)
        for number in ("1", "1.0", "1e0", "100", "1E2"):
            raw(proxy.url, "PutItem", {"TableName": table, "Item": {"pk": {"S": "a"}, "sk": {"N": number}}})
        self.assertEqual(sorted(proxy.keys_written(table).values()), [2, 3])

    def test_logs_each_request_as_a_line(self):
        log = tempfile.NamedTemporaryFile()
        self.addCleanup(log.close)
        proxy, table = self.proxy(log=log.name, throttle={"times": 1}), new_table()
        for _ in range(2):
            raw(proxy.url, "PutItem", {"TableName": table, "Item": item("a")})
        lines = [json.loads(line) for line in open(log.name)]
        self.assertEqual([(line["op"], line["status"], line["faults"], line["keys"]) for line in lines],
                         [("PutItem", 400, ["throttle"], ['{"pk":{"S":"a"}}']),
                          ("PutItem", 200, [], ['{"pk":{"S":"a"}}'])])

    def test_a_server_that_is_gone_is_a_reset(self):
        with FaultProxy("http://127.0.0.1:9") as proxy:
            with self.assertRaises((ConnectionError, http.client.HTTPException)):
                raw(proxy.url, "ListTables", {})
            self.assertEqual(proxy.counters()["server_lost"], 1)


class Control(Faults):
    def test_rates_change_in_mid_run_from_another_process(self):
        proxy = self.proxy()
        where = [sys.executable, "-c", "import sys, urllib.request as u; print(u.urlopen(u.Request(sys.argv[1], "
                 "data=sys.argv[2].encode() or None, method=sys.argv[3])).read().decode())", proxy.url + "/__faults"]
        told = subprocess.run(where + ['{"throttle": 1}', "POST"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(json.loads(told)["faults"], {"throttle": 1})
        with self.assertRaises(botocore.exceptions.ClientError):
            client(proxy.url).scan(TableName="any")
        self.assertEqual(proxy.faults(), {"throttle": 1})
        proxy.set(throttle=0, wrong_crc32={"times": 2})
        self.assertEqual(proxy.faults(), {"wrong_crc32": {"times": 2}})
        proxy.clear()
        self.assertEqual(proxy.faults(), {})

    def test_a_misspelt_fault_is_refused_and_changes_nothing(self):
        proxy = self.proxy(throttle=0.5)
        for wrong in ({"trottle": 1}, {"throttle": {"rat": 1}}, {"throttle": {"reason": "TableReadExceeded"}},
                      {"shards": {"k": 3}}):
            with self.assertRaises(ValueError):
                proxy.set(wrong)
        self.assertEqual(proxy.faults(), {"throttle": 0.5})

    def test_the_same_seed_strikes_the_same_requests_in_any_order(self):
        table = new_table()

        def struck(seed, order):
            proxy = self.proxy(seed, throttle=0.3)
            return {n for n in order if raw(proxy.url, "PutItem", {"TableName": table, "Item": item("k%d" % n)})[0]
                    .status != 200}
        first = struck(5, range(60))
        self.assertEqual(first, struck(5, range(59, -1, -1)))
        self.assertNotEqual(first, struck(6, range(60)))
        self.assertTrue(5 < len(first) < 35, first)

    def test_it_ends_with_its_parent(self):
        program = "import sys, time; sys.path.insert(0, %r)\nfrom fault_proxy import FaultProxy\n" \
                  "p = FaultProxy(%r).__enter__(); print(p.process.pid, flush=True); time.sleep(60)" % (
                      os.path.dirname(os.path.abspath(__file__)), UPSTREAM)
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
        deadline = time.monotonic() + 5
        while os.path.exists("/proc/%d" % pid) and open("/proc/%d/stat" % pid).read().split()[2] != "Z":
            self.assertLess(time.monotonic(), deadline, "the proxy outlived its parent")
            time.sleep(0.05)


class Throttling(Faults):
    def test_every_documented_reason_reaches_the_client_and_nothing_the_server(self):
        proxy, table = self.proxy(), new_table(index=True)
        self.assertEqual(len(REASONS), 16)
        for reason in REASONS:
            for kind in (None, "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"):
                proxy.set(throttle={"rate": 1, "reason": reason, "type": kind})
                body = {"TableName": table, "Item": item("a")}
                reply, told = raw(proxy.url, "PutItem", body)
                told = json.loads(told)
                self.assertEqual(reply.status, 400)
                self.assertIn(told["__type"].split("#")[1], [kind] if kind else [
                    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"])
                where = "table/" + table + ("/index/by_by" if reason.startswith("Index") else "")
                self.assertEqual(told["ThrottlingReasons"], [
                    {"reason": reason, "resource": "arn:aws:dynamodb:us-east-1:000000000000:" + where}])
        proxy.set(throttle=1)
        seen = collections.Counter()
        for n in range(60):
            for op, body in (("PutItem", {"TableName": table, "Item": item("a%d" % n)}),
                             ("GetItem", {"TableName": table, "Key": {"pk": {"S": "a%d" % n}}}),
                             ("Scan", {"TableName": table, "IndexName": "by_by", "Limit": n + 1})):
                seen[json.loads(raw(proxy.url, op, body)[1])["ThrottlingReasons"][0]["reason"]] += 1
        self.assertEqual(set(seen), set(REASONS))
        self.assertEqual(stored(table), {})
        error = self.refused_any(client(proxy.url).put_item, TableName=table, Item=item("b"))
        self.assertIn(error["ThrottlingReasons"][0]["reason"], REASONS)

    def refused_any(self, call, **named):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**named)
        return caught.exception.response

    def test_hot_keys_alone_are_refused(self):
        proxy, table = self.proxy(hot_key={"share": 0.1}), new_table()
        hot = {n for n in range(200) if raw(proxy.url, "PutItem", {"TableName": table, "Item": item("k%d" % n)})[0]
               .status != 200}
        self.assertTrue(5 < len(hot) < 40, hot)
        told = json.loads(raw(proxy.url, "PutItem", {"TableName": table, "Item": item("k%d" % min(hot))})[1])
        self.assertEqual(told["ThrottlingReasons"][0]["reason"], "TableWriteKeyRangeThroughputExceeded")
        for first in range(0, 200, 25):  # The same keys in batches.
            keys = ["k%d" % n for n in range(first, first + 25)]
            reply, body = raw(proxy.url, "BatchWriteItem", {"RequestItems": puts(table, keys)})
            left = {one["PutRequest"]["Item"]["pk"]["S"] for one in json.loads(body)["UnprocessedItems"].get(table, ())}
            self.assertEqual(left, {"k%d" % n for n in hot} & set(keys))
        self.assertEqual(len(stored(table)), 200 - len(hot))
        proxy.set(hot_key={"keys": ["slow"], "per_second": 5})
        began, done = time.monotonic(), 0
        while time.monotonic() - began < 2:
            done += raw(proxy.url, "PutItem", {"TableName": table, "Item": item("slow")})[0].status == 200
        self.assertTrue(8 <= done <= 16, done)

    def test_capacity_holds_a_client_to_a_rate_and_the_counters_show_it(self):
        table = new_table(index=True)
        proxy = self.proxy(capacity={table: {"write": 50}, table + "/by_by": {"write": 1000}})
        began = time.monotonic()
        done = refusals = 0
        while time.monotonic() - began < 3:
            thing = dict(item("k%d" % done), by={"S": "x"})
            reply, body = raw(proxy.url, "PutItem", {"TableName": table, "Item": thing})
            if reply.status == 200:
                self.assertEqual(body, b"{}")  # The capacity that only the proxy asked for is not told.
                done += 1
            else:
                refusals += 1
                self.assertEqual(json.loads(body)["ThrottlingReasons"][0]["reason"],
                                 "TableWriteProvisionedThroughputExceeded")
        self.assertGreater(refusals, 0)
        self.assertTrue(100 <= done <= 210, done)
        capacity = proxy.counters()["capacity"]
        self.assertEqual(capacity[table]["write"]["total"], done)
        self.assertEqual(capacity[table + "/by_by"]["write"]["total"], done)


class Batches(Faults):
    def test_a_client_that_resends_loses_nothing(self):
        for seed in SEEDS:
            proxy = self.proxy(seed, unprocessed={"rate": 0.7, "share": 0.4, "all": 0.2})
            table, dynamo = new_table(), client(proxy.url)
            partial = 0
            for batch in range(8):
                left = puts(table, ["%d-%d" % (batch, n) for n in range(25)])
                while left:
                    left = dynamo.batch_write_item(RequestItems=left)["UnprocessedItems"]
                    partial += bool(left)
            self.assertGreater(partial, 3)
            self.assertEqual(len(stored(table)), 200)
            found, asked = [], {table: {"Keys": [{"pk": {"S": "%d-%d" % (n % 8, n // 8)}} for n in range(100)],
                                        "ConsistentRead": True, "ProjectionExpression": "#p",
                                        "ExpressionAttributeNames": {"#p": "pk"}}}
            while asked:
                page = dynamo.batch_get_item(RequestItems=asked)
                found += [one["pk"]["S"] for one in page["Responses"].get(table, ())]
                asked = page["UnprocessedKeys"]
            self.assertEqual(sorted(found), sorted("%d-%d" % (n % 8, n // 8) for n in range(100)))
            self.assertEqual(proxy.counters()["items_written"][table], {"put": 200})

    def test_all_of_a_batch_can_be_left(self):
        proxy, table = self.proxy(unprocessed={"all": 1}), new_table()
        reply = client(proxy.url).batch_write_item(RequestItems=puts(table, "abc"), ReturnConsumedCapacity="TOTAL")
        self.assertEqual(reply["UnprocessedItems"], puts(table, "abc"))
        self.assertEqual(reply["ConsumedCapacity"], [{"TableName": table, "CapacityUnits": 0}])
        reply = client(proxy.url).batch_get_item(RequestItems={table: {"Keys": [{"pk": {"S": "a"}}]}})
        self.assertEqual(reply["UnprocessedKeys"], {table: {"Keys": [{"pk": {"S": "a"}}]}})
        self.assertEqual(stored(table), {})

    def test_a_batch_that_the_server_refuses_is_refused_whole(self):
        proxy, table = self.proxy(unprocessed=1), new_table(sort=True)
        twice = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": n}}}} for n in ("1", "1.0")]
        self.refused("ValidationException", client(proxy.url).batch_write_item, RequestItems={table: twice})
        many = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": str(n)}}}} for n in range(26)]
        reply, body = raw(proxy.url, "BatchWriteItem", {"RequestItems": {table: many}})
        self.assertEqual(reply.status, 400)
        self.assertNotIn("unprocessed", proxy.counters()["faults"])

    def test_statements_of_a_batch_are_throttled_one_by_one(self):
        proxy, table = self.proxy(unprocessed={"share": 0.5, "all": 0}), new_table()
        statements = [{"Statement": "INSERT INTO \"%s\" VALUE {'pk': ?}" % table, "Parameters": [{"S": "k%d" % n}]}
                      for n in range(20)]
        replies = client(proxy.url).batch_execute_statement(Statements=statements)["Responses"]
        failed = {"k%d" % n for n, reply in enumerate(replies)
                  if reply.get("Error", {}).get("Code") == "ThrottlingError"}
        self.assertTrue(0 < len(failed) < 20)
        self.assertEqual(set(stored(table)), {"k%d" % n for n in range(20)} - failed)


class Replies(Faults):
    def took_effect(self, table, key):
        return key in stored(table)

    def test_failures_come_before_or_after_the_effect(self):
        proxy, table = self.proxy(), new_table()
        for status in (500, 503):
            for when in ("before", "after"):
                name = "error_%d_%s" % (status, when)
                proxy.set({name: 1})
                styles = set()
                for n in range(6):
                    reply, body = raw(proxy.url, "PutItem", {"TableName": table, "Item": item(name + str(n))})
                    self.assertEqual(reply.status, status)
                    styles.add(body[:1])
                self.assertEqual(self.took_effect(table, name + "0"), when == "after", name)
                proxy.clear()
        self.assertEqual(proxy.counters()["faults"]["error_500_after"], 6)
        proxy.set(error_500_before=1)
        self.refused("InternalServerError", client(proxy.url).put_item, TableName=table, Item=item("x"))

    def test_resets_come_before_after_and_amid(self):
        proxy, table = self.proxy(), new_table()
        client(UPSTREAM).put_item(TableName=table, Item=dict(item("big"), b={"S": "x" * 300_000}))
        for name, effect in (("reset_before", False), ("reset_after", True), ("reset_mid_reply", True)):
            proxy.set({name: 1})
            with self.assertRaises((botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)):
                client(proxy.url).put_item(TableName=table, Item=item(name))
            self.assertEqual(self.took_effect(table, name), effect, name)
            proxy.clear()
        proxy.set(reset_mid_reply=1)
        got = set()
        for n in range(8):
            try:
                raw(proxy.url, "Scan", {"TableName": table, "Limit": 10 + n})
                self.fail("the reply was whole")
            except http.client.IncompleteRead as problem:
                self.assertGreater(len(problem.partial), 100_000)
                got.add("closed")
            except ConnectionError:
                got.add("reset")
        self.assertEqual(got, {"closed", "reset"})

    def test_a_held_reply_is_a_timeout_of_a_request_that_arrived(self):
        proxy, table = self.proxy(hold_reply={"times": 1, "seconds": 3}), new_table()
        with self.assertRaises(botocore.exceptions.ReadTimeoutError):
            client(proxy.url, wait=0.3).put_item(TableName=table, Item=item("a"))
        self.assertTrue(self.took_effect(table, "a"))

    def test_a_slow_reply_arrives_whole(self):
        proxy, table = self.proxy(slow_reply={"seconds": 0.6, "pieces": 10, "ops": ["GetItem"]}), new_table()
        big = dict(item("a"), b={"S": "x" * 100_000})
        client(proxy.url).put_item(TableName=table, Item=big)
        began = time.monotonic()
        self.assertEqual(client(proxy.url).get_item(TableName=table, Key={"pk": {"S": "a"}})["Item"], big)
        self.assertGreater(time.monotonic() - began, 0.5)

    def test_a_request_is_delivered_twice_at_once_or_later(self):
        proxy, table = self.proxy(duplicate=1), new_table()
        add = {"TableName": table, "Key": {"pk": {"S": "n"}}, "UpdateExpression": "ADD v :one",
               "ExpressionAttributeValues": {":one": {"N": "1"}}}
        client(proxy.url).update_item(**add)
        self.assertEqual(stored(table)["n"]["v"]["N"], "2")
        proxy.set(duplicate={"seconds": 0.4})
        client(proxy.url).update_item(**add)
        self.assertEqual(stored(table)["n"]["v"]["N"], "3")
        time.sleep(0.7)
        self.assertEqual(stored(table)["n"]["v"]["N"], "4")
        self.assertEqual(proxy.keys_written(table)['{"pk":{"S":"n"}}'], 4)
        proxy.set(duplicate={"answer": "second"})
        self.refused("ConditionalCheckFailedException", client(proxy.url).put_item, TableName=table, Item=item("c"),
                     ConditionExpression="attribute_not_exists(pk)")
        self.assertTrue(self.took_effect(table, "c"))

    def test_a_request_arrives_long_after_its_client_was_cut_off(self):
        proxy, table = self.proxy(late_delivery={"times": 1, "seconds": 0.5}), new_table()
        with self.assertRaises((botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)):
            client(proxy.url).put_item(TableName=table, Item=item("a", 1))
        client(proxy.url).put_item(TableName=table, Item=item("a", 2))
        self.assertEqual(stored(table)["a"]["v"]["N"], "2")
        time.sleep(0.8)
        self.assertEqual(stored(table)["a"]["v"]["N"], "1")

    def test_credentials_fail_on_demand(self):
        proxy, table = self.proxy(expired_token={"times": 1}), new_table()
        put = {"TableName": table, "Item": item("a")}
        self.refused("ExpiredTokenException", client(proxy.url).put_item, **put)
        client(proxy.url).put_item(**put)
        proxy.set(unrecognized_client=1)
        self.refused("UnrecognizedClientException", client(proxy.url).put_item, **put)
        proxy.set(unrecognized_client=0, access_denied={"ops": ["PutItem"]})
        told = self.refused("AccessDeniedException", client(proxy.url).put_item, **put)
        self.assertIn("dynamodb:PutItem", told["Error"]["Message"])
        client(proxy.url).delete_item(TableName=table, Key={"pk": {"S": "a"}})

    def test_a_skewed_clock_is_told_by_date_and_heals_when_the_client_follows(self):
        proxy, table = self.proxy(), new_table()
        for seconds, words in ((900, "now earlier"), (-900, "still later")):
            proxy.set(clock_skew={"seconds": seconds})
            reply, body = raw(proxy.url, "Scan", {"TableName": table})
            self.assertEqual(json.loads(body)["__type"].split("#")[1], "InvalidSignatureException")
            self.assertIn(words, json.loads(body)["message"])
            told = time.mktime(time.strptime(reply.getheader("Date"), "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
            self.assertAlmostEqual(told - time.time(), seconds, delta=5)
            reply, _ = raw(proxy.url, "Scan", {"TableName": table}, **{
                "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(told))})
            self.assertEqual(reply.status, 200)

    def test_a_wrong_checksum_is_wrong_and_every_other_is_right(self):
        proxy, table = self.proxy(wrong_crc32={"times": 1}), new_table()
        reply, body = raw(proxy.url, "Scan", {"TableName": table})
        self.assertNotEqual(int(reply.getheader("x-amz-crc32")), zlib.crc32(body))
        proxy.set(wrong_crc32={"times": 1}, unprocessed=1)
        reply = client(proxy.url, tries=3).batch_write_item(RequestItems=puts(table, "abcdef"))  # boto3 asks again.
        self.assertGreater(reply["ResponseMetadata"]["RetryAttempts"], 0)
        for op, body in (("BatchWriteItem", {"RequestItems": puts(table, "gh")}), ("Scan", {"TableName": table})):
            reply, told = raw(proxy.url, op, body)
            self.assertEqual(int(reply.getheader("x-amz-crc32")), zlib.crc32(told))
        proxy.set(throttle=1)
        reply, told = raw(proxy.url, "Scan", {"TableName": table})
        self.assertEqual(int(reply.getheader("x-amz-crc32")), zlib.crc32(told))


class Reader:
    """A plain reader: parents before children, from the beginning, position by sequence number."""

    def __init__(self, streams, arn):
        self.streams, self.arn = streams, arn
        self.shards, self.position, self.iterators, self.done, self.records = {}, {}, {}, set(), []
        self.positions_lost = 0

    def call(self, name, **named):
        while True:  # Nothing of a reader is harmed by asking again.
            try:
                return getattr(self.streams, name)(**named)
            except botocore.exceptions.ClientError as error:
                if error.response["Error"]["Code"] not in ("ThrottlingException", "LimitExceededException", "503",
                                                           "ProvisionedThroughputExceededException",
                                                           "InternalServerError", "ServiceUnavailable"):
                    raise
            except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError):
                pass

    def list(self):
        shards, after, status = {}, {}, None
        while True:
            told = self.call("describe_stream", StreamArn=self.arn, **after)["StreamDescription"]
            shards.update({shard["ShardId"]: shard for shard in told["Shards"]})
            status = told["StreamStatus"]
            if "LastEvaluatedShardId" not in told:
                break
            after = {"ExclusiveStartShardId": told["LastEvaluatedShardId"]}
        new = set(shards) - set(self.shards)
        self.shards.update(shards)
        return new, status

    def ready(self):
        for name, shard in self.shards.items():
            parent = shard.get("ParentShardId")
            if name not in self.done and (parent not in self.shards or parent in self.done):
                yield name

    def step(self, name):
        """One page. True when it had records or ended the shard."""
        if name not in self.iterators:
            where = {"ShardIteratorType": "TRIM_HORIZON"}
            if name in self.position:
                where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self.position[name]}
            self.iterators[name] = self.call("get_shard_iterator", StreamArn=self.arn, ShardId=name,
                                             **where)["ShardIterator"]
        try:
            page = self.call("get_records", ShardIterator=self.iterators[name], Limit=7)
        except self.streams.exceptions.ExpiredIteratorException:
            del self.iterators[name]
            self.positions_lost += 1
            return True
        for record in page["Records"]:
            self.records.append((name, record))
            self.position[name] = record["dynamodb"]["SequenceNumber"]
        self.iterators[name] = page.get("NextShardIterator")
        if self.iterators[name] is None:
            self.done.add(name)
        return bool(page["Records"]) or name in self.done

    def drain(self, until):
        quiet = 0
        while quiet < 6:
            new, status = self.list()
            moved = [self.step(name) for name in list(self.ready())]
            over = until.is_set() and status == "DISABLED" and not new and not list(self.ready())
            quiet = quiet + 1 if over else 0
            if not any(moved):
                time.sleep(0.01)


def change(dynamo, table, count, keys=25):
    """Changes of few keys, each numbered in its key's order. Gives {key: last number}."""
    numbers = collections.Counter()
    for n in range(count):
        key = "k%d" % (n * n % keys)
        numbers[key] += 1
        if numbers[key] % 7 == 0:
            dynamo.delete_item(TableName=table, Key={"pk": {"S": key}})
        else:
            dynamo.put_item(TableName=table, Item=item(key, numbers[key]))
    return numbers


def in_order(records):
    """{key: the numbers of its changes as first seen}; a delete is told by the image it took away."""
    told, seen = collections.defaultdict(list), set()
    for _, record in records:
        data = record["dynamodb"]
        if data["SequenceNumber"] in seen:
            continue
        seen.add(data["SequenceNumber"])
        number = int(data["NewImage"]["v"]["N"]) if "NewImage" in data else int(data["OldImage"]["v"]["N"]) + 1
        told[data["Keys"]["pk"]["S"]].append(number)
    return told


class Streams(Faults):
    def table_with_stream(self):
        table = new_table(stream=True)
        return table, client(UPSTREAM).describe_table(TableName=table)["Table"]["LatestStreamArn"]

    def test_a_plain_reader_sees_everything_in_order_while_a_writer_writes(self):
        moments = collections.Counter()
        for seed in SEEDS:
            with self.subTest(seed=seed):
                proxy = self.proxy(seed, shards={"records": [5, 25], "inconsistent": 0.3, "page": 4,
                                                 "order": "newest" if seed % 2 else "created"},
                                   expired_iterator=0.05, empty_page=0.1, reset_after={"rate": 0.02, "ops": [
                                       "GetRecords", "DescribeStream", "GetShardIterator"]},
                                   throttle={"rate": 0.03, "ops": ["GetRecords"]}, error_500_after={
                                       "rate": 0.02, "ops": ["GetRecords"]})
                table, arn = self.table_with_stream()
                over, wrote = threading.Event(), {}

                def write():
                    wrote.update(change(client(proxy.url), table, 500))
                    client(UPSTREAM).update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
                    over.set()
                writer = threading.Thread(target=write)
                writer.start()
                reader = Reader(client(proxy.url, "dynamodbstreams"), arn)
                reader.drain(over)
                writer.join()
                told = in_order(reader.records)
                wrong = {key: told[key] for key, last in wrote.items() if told[key] != list(range(1, last + 1))}
                self.assertEqual(wrong, {}, [(name, record["dynamodb"]) for name, record in reader.records
                                             if record["dynamodb"]["Keys"]["pk"]["S"] in wrong])
                self.assertGreater(len(reader.shards), 20)
                self.assertGreater(reader.positions_lost, 0)
                moments.update(proxy.counters()["inconsistent"])
        self.assertEqual(set(moments), {"child_first", "open_parent", "no_children", "one_child"})

    def test_a_reader_that_takes_children_first_sees_disorder(self):
        table, arn = self.table_with_stream()
        wrote = change(client(UPSTREAM), table, 200)
        proxy = self.proxy(4, shards={"records": [5, 25], "inconsistent": 0})
        reader = Reader(client(proxy.url, "dynamodbstreams"), arn)
        reader.list()
        for name in sorted(reader.shards, reverse=True):
            while reader.step(name) and name not in reader.done:
                pass
        told = in_order(reader.records)
        self.assertEqual({key: last for key, last in wrote.items()}, {key: len(n) for key, n in told.items()})
        self.assertTrue(any(numbers != sorted(numbers) for numbers in told.values()))

    def test_the_graph_is_consistent_and_the_same_for_the_same_seed(self):
        table, arn = self.table_with_stream()
        shape = {"records": [4, 9], "inconsistent": 0, "page": 3}
        change(client(UPSTREAM), table, 200)
        readers = [Reader(client(self.proxy(9, shards=shape).url, "dynamodbstreams"), arn) for _ in range(2)]
        for reader in readers:
            reader.list()
        self.assertEqual(readers[0].shards, readers[1].shards)
        shards = readers[0].shards
        roots = [shard for shard in shards.values() if "ParentShardId" not in shard]
        self.assertEqual(len(roots), 1)
        children = collections.defaultdict(list)
        for name, shard in shards.items():
            self.assertTrue(28 <= len(name) <= 65)
            if "ParentShardId" in shard:
                children[shard["ParentShardId"]].append(name)
                ended = shards[shard["ParentShardId"]]["SequenceNumberRange"]["EndingSequenceNumber"]
                self.assertLess(int(ended), int(shard["SequenceNumberRange"]["StartingSequenceNumber"]))
        self.assertEqual({len(each) for each in children.values()}, {1, 2})
        for name, shard in shards.items():
            self.assertEqual("EndingSequenceNumber" in shard["SequenceNumberRange"], name in children)
            told = readers[0].streams.describe_stream(StreamArn=arn, ShardFilter={
                "Type": "CHILD_SHARDS", "ShardId": name})["StreamDescription"]["Shards"]
            self.assertEqual({child["ShardId"] for child in told}, set(children[name]))
        other = Reader(client(self.proxy(10, shards=shape).url, "dynamodbstreams"), arn)
        other.list()
        self.assertNotEqual(shards, other.shards)

    def test_every_kind_of_iterator_works_on_a_virtual_shard(self):
        table, arn = self.table_with_stream()
        proxy = self.proxy(3, shards={"records": [6, 6], "inconsistent": 0, "page": 100})
        change(client(UPSTREAM), table, 40)
        streams = client(proxy.url, "dynamodbstreams")
        shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]

        def read(shard, kind, sequence=None):
            more = {"SequenceNumber": sequence} if sequence else {}
            at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind, **more)
            at, found = at["ShardIterator"], []
            for _ in range(6):
                page = streams.get_records(ShardIterator=at, Limit=4)
                found += [record["dynamodb"]["SequenceNumber"] for record in page["Records"]]
                at = page.get("NextShardIterator")
                if at is None:
                    break
            return found, at is None
        closed = [shard for shard in shards if "EndingSequenceNumber" in shard["SequenceNumberRange"]]
        self.assertGreater(len(closed), 3)
        for shard in closed:
            everything, ended = read(shard, "TRIM_HORIZON")
            self.assertEqual((len(everything), ended), (6, True))
            self.assertEqual(everything[-1], shard["SequenceNumberRange"]["EndingSequenceNumber"])
            self.assertEqual(read(shard, "AT_SEQUENCE_NUMBER", everything[2]), (everything[2:], True))
            self.assertEqual(read(shard, "AFTER_SEQUENCE_NUMBER", everything[2]), (everything[3:], True))
            self.assertEqual(read(shard, "AFTER_SEQUENCE_NUMBER", everything[-1]), ([], True))
            self.assertEqual(read(shard, "LATEST"), ([], True))
        leaf = next(shard for shard in shards if shard not in closed)
        at = streams.get_shard_iterator(StreamArn=arn, ShardId=leaf["ShardId"],
                                        ShardIteratorType="LATEST")["ShardIterator"]
        before = set(read(leaf, "TRIM_HORIZON")[0])
        change(client(UPSTREAM), table, 60)
        after = streams.get_records(ShardIterator=at)["Records"]
        self.assertTrue(after)
        self.assertFalse(before & {record["dynamodb"]["SequenceNumber"] for record in after})
        self.refused("ValidationException", read, closed[-1], "AT_SEQUENCE_NUMBER", "9" * 21)
        self.refused("ResourceNotFoundException", read, {"ShardId": closed[0]["ShardId"][:-2] + "zz"}, "LATEST")

    def test_iterators_expire_on_demand_and_by_age(self):
        table, arn = self.table_with_stream()
        change(client(UPSTREAM), table, 5)
        for shards in (None, True):
            proxy = self.proxy(shards=shards)
            streams = client(proxy.url, "dynamodbstreams")
            shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
            at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            proxy.set(expired_iterator={"times": 1})
            self.refused("ExpiredIteratorException", streams.get_records, ShardIterator=at["ShardIterator"])
            proxy.set(empty_page={"times": 1})
            page = streams.get_records(ShardIterator=at["ShardIterator"])
            self.assertEqual(page["Records"], [])
            self.assertEqual(len(streams.get_records(ShardIterator=page["NextShardIterator"])["Records"]), 5)
            proxy.set(trimmed={"times": 1})
            self.refused("TrimmedDataAccessException", streams.get_records, ShardIterator=at["ShardIterator"])
            if shards:
                proxy.set(iterator_seconds=0.2)
                time.sleep(0.3)
                self.refused("ExpiredIteratorException", streams.get_records, ShardIterator=at["ShardIterator"])

    def test_the_memory_of_a_stream_is_cut_short(self):
        table, arn = self.table_with_stream()
        change(client(UPSTREAM), table, 100)
        proxy = self.proxy(2, shards={"records": [10, 20], "inconsistent": 0, "page": 100})
        before = Reader(client(proxy.url, "dynamodbstreams"), arn)
        before.list()
        root = next(name for name, shard in before.shards.items() if "ParentShardId" not in shard)
        before.step(root)
        trimmed = proxy.trim(table, keep=8)
        self.assertEqual(int(trimmed["last"]) - int(trimmed["trimmed_through"]), 8)
        after = Reader(before.streams, arn)
        after.list()
        self.assertNotIn(root, after.shards)
        self.assertTrue(set(after.shards) < set(before.shards))
        self.refused("TrimmedDataAccessException", before.step, root)
        for name in list(after.shards):
            while after.step(name) and name not in after.done:
                pass
        self.assertEqual(len(after.records), 8)
        started = next(s for s in after.shards.values() if int(
            s["SequenceNumberRange"]["StartingSequenceNumber"]) <= int(trimmed["trimmed_through"]))
        self.refused("TrimmedDataAccessException", after.streams.get_shard_iterator, StreamArn=arn,
                     ShardId=started["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
                     SequenceNumber=started["SequenceNumberRange"]["StartingSequenceNumber"])

    def test_a_trim_in_mid_run_meets_a_client_that_reads_the_servers_own_shard(self):
        table, arn = self.table_with_stream()
        change(client(UPSTREAM), table, 10)
        proxy = self.proxy()
        reader = Reader(client(proxy.url, "dynamodbstreams"), arn)
        reader.list()
        (shard,) = reader.shards
        reader.step(shard)
        proxy.trim(table, keep=0)
        reader.step(shard)  # The server's iterator counts as expired: the client asks for its position again.
        self.refused("TrimmedDataAccessException", reader.step, shard)
        proxy = self.proxy(retention_records=4)
        reader = Reader(client(proxy.url, "dynamodbstreams"), arn)
        reader.list()
        while reader.step(shard):
            pass
        self.assertEqual(len(reader.records), 4)


if __name__ == "__main__":
    unittest.main()
