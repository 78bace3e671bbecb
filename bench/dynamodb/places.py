"""Where items are copied from and to: a DynamoDB Local, or the canned server.

A place is fresh for each competitor: `with place.opened(variant, made) as there`, where `made` says
whether the target is there already, as a script wants it.
"""
import concurrent.futures
import contextlib
import http.client
import json
import os
import subprocess

import data
from dynamo import DynamoClient
from measuring import Failed
from servers import dynamodb_local

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class LocalPlace:
    """DynamoDB Local, filled by itself; it reads a table the slower the fewer segments it has."""
    kind = "local"

    def __init__(self, items, segments):
        self.items, self.segments = items, segments
        self.port = self.environment = None

    @contextlib.contextmanager
    def opened(self, variant, made):
        self.variant = variant
        with dynamodb_local() as server:
            self.port = server.port
            self.environment = {**os.environ, **server.environment, **KEYS}
            client = DynamoClient(server.port)
            client.create(data.SOURCE)
            if made:
                client.create(data.TARGET)
            client.close()
            self.in_segments(self.fill)
            yield self

    def in_segments(self, each):
        with concurrent.futures.ThreadPoolExecutor(self.segments) as threads:
            return list(threads.map(lambda at: self.with_client(each, at), range(self.segments)))

    def with_client(self, each, at):
        client = DynamoClient(self.port)
        try:
            return each(client, at)
        finally:
            client.close()

    def fill(self, client, at):
        mine = [data.item_of("raw", number) for number in range(at, self.items, self.segments)]
        for begin in range(0, len(mine), 25):
            client.write({data.SOURCE: [{"PutRequest": {"Item": item}}
                                        for item in mine[begin:begin + 25]]})

    def wrong(self):
        found = self.in_segments(lambda client, at: list(client.items(
            data.TARGET, Segment=at, TotalSegments=self.segments)))
        return data.wrong_in((item for part in found for item in part), self.variant, self.items)

    told = None


class CannedPlace:
    """canned_server on a core of its own, where there are two; it tells what it was asked."""
    kind = "canned"

    def __init__(self, program, work, items, core=None, tls=None):
        self.program, self.work, self.items = program, work, items
        self.core, self.tls = core, tls
        self.port = self.environment = None

    @contextlib.contextmanager
    def opened(self, variant, made):
        for name in ("raw", variant):
            (self.work / f"{name}.json").write_text(data.template(name) + "\n", "utf-8")
        command = [*pinned(self.core), self.program, "--items", str(self.items),
                   "--source", data.SOURCE, self.work / "raw.json",
                   "--target", data.TARGET, self.work / f"{variant}.json",
                   *(["--target-exists"] if made else []),
                   *(["--tls", self.tls.certificate, self.tls.key] if self.tls else [])]
        with subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as server:
            try:
                line = server.stdout.readline()
                if not line:
                    raise Failed("the canned server did not begin")
                self.port = json.loads(line)["port"]
                scheme, more = ("https", self.tls.environment) if self.tls else ("http", {})
                self.environment = {**os.environ, **KEYS, "AWS_REGION": "us-east-1", **more,
                                    "AWS_DEFAULT_REGION": "us-east-1",
                                    "AWS_ENDPOINT_URL": f"{scheme}://127.0.0.1:{self.port}"}
                yield self
            finally:
                server.terminate()

    def told(self):
        connection = (http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls.context())
                      if self.tls else http.client.HTTPConnection("127.0.0.1", self.port))
        connection.request("GET", "/told")
        told = json.loads(connection.getresponse().read())
        connection.close()
        return {**told, "requests_all": sum(told["requests"].values())}

    def wrong(self):
        """Every number was written; what else is in an item is compared on DynamoDB Local."""
        told = self.told()
        found = []
        if told["there"] != self.items:
            found.append(f"{told['there']:,} of {self.items:,} items were written")
        if told["written"] != self.items:
            found.append(f"{told['written']:,} writes for {self.items:,} items")
        return found


def pinned(core):
    return [] if core is None else ["taskset", "--cpu-list", str(core)]
