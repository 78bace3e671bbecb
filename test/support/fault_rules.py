"""What the fault proxy can inject, when it does, and how each fault looks to a client.

Whether a fault strikes is a function of the seed, the request's own bytes and how often these bytes were seen, so
that the same requests meet the same faults in whatever order concurrent connections deliver them.
"""
import calendar
import hashlib
import json
import time
import uuid
import zlib
from email.utils import formatdate

from fault_wire import Message

LIMITS = ("KeyRangeThroughputExceeded", "ProvisionedThroughputExceeded", "AccountLimitExceeded",
          "MaxOnDemandThroughputExceeded")
REASONS = tuple(where + way + limit for limit in LIMITS for where in ("Table", "Index") for way in ("Read", "Write"))
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")

WRITES = frozenset(("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement",
                    "BatchExecuteStatement", "ExecuteTransaction"))
READS = frozenset(("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"))
STREAMS = frozenset(("DescribeStream", "GetShardIterator", "GetRecords", "ListStreams"))

# One fault a row: its name, the fields of its own with their defaults, the operations it means unless told.
EVERY_RULE = {"rate": 1.0, "ops": None, "tables": None, "times": None, "after": 0}
DATA = WRITES | READS
FAULTS = {
    # Before the request reaches the server.
    "throttle": ({"reason": None, "type": None}, DATA),
    "hot_key": ({"share": 0.01, "keys": (), "per_second": None, "reason": None}, None),
    "unprocessed": ({"share": 0.5, "all": 0.1}, frozenset(("BatchWriteItem", "BatchGetItem", "BatchExecuteStatement"))),
    "error_500_before": ({}, None),
    "error_503_before": ({}, None),
    "reset_before": ({}, None),
    "expired_token": ({}, None),
    "unrecognized_client": ({}, None),
    "access_denied": ({"action": None}, None),
    "clock_skew": ({"seconds": 900}, None),
    # What the server sees is not what the client sent once.
    "duplicate": ({"seconds": 0, "answer": "first"}, DATA),
    "late_delivery": ({"seconds": 1.0}, DATA),
    # After the request took effect.
    "error_500_after": ({}, None),
    "error_503_after": ({}, None),
    "reset_after": ({}, None),
    "reset_mid_reply": ({}, None),
    "hold_reply": ({"seconds": 5.0}, None),
    "slow_reply": ({"seconds": 1.0, "pieces": 20}, None),
    "wrong_crc32": ({}, None),
    # Streams.
    "expired_iterator": ({}, frozenset(("GetRecords",))),
    "trimmed": ({}, frozenset(("GetRecords", "GetShardIterator"))),
    "empty_page": ({}, frozenset(("GetRecords",))),
}
# Conditions that hold rather than strike.
CONDITIONS = {
    # `order` of a listing is "created", or "newest" (children before parents, over all pages).
    "shards": {"records": (20, 60), "open_max": 8, "single_child": 0.15, "page": 5, "inconsistent": 0.1,
               "order": "created"},
    "iterator_seconds": 900,
    "retention_records": None,
    "capacity": {},
}


class Rule:
    """One fault as asked for, and how often it was weighed and struck."""

    def __init__(self, name, asked):
        own, ops = FAULTS[name]
        if isinstance(asked, (int, float)):
            asked = {"rate": float(asked)}
        known = {**EVERY_RULE, **own}
        unknown = set(asked) - set(known)
        if unknown:
            raise ValueError("%s has no %s; it has %s" % (name, ", ".join(sorted(unknown)), ", ".join(sorted(known))))
        self.name, self.weighed, self.struck = name, 0, 0
        self.fields = {**known, **asked}
        if name == "throttle" and self.fields["reason"] not in (None,) + REASONS:
            raise ValueError("%s is none of the 16 reasons" % self.fields["reason"])
        self.ops = frozenset(self.fields["ops"]) if self.fields["ops"] is not None else ops
        self.tables = frozenset(self.fields["tables"]) if self.fields["tables"] is not None else None

    def __getitem__(self, field):
        return self.fields[field]

    def means(self, request):
        if self.ops is not None and request.op not in self.ops:
            return False
        if self.tables is not None and not self.tables & set(request.tables):
            return False
        if self.fields["times"] is not None and self.struck >= self.fields["times"]:
            return False
        self.weighed += 1
        return self.weighed > self.fields["after"]


class Rules:
    """All that is asked for at this moment."""

    def __init__(self, asked):
        self.asked, self.rules, self.conditions = {}, {}, dict(CONDITIONS, shards=None)
        self.change(asked)

    def change(self, asked):
        """Sets the named faults, leaves the others. 0, false and null take one away. All of it, or on error nothing."""
        rules, conditions = {}, {}
        for name, value in asked.items():
            if name in CONDITIONS:
                conditions[name] = self._condition(name, value)
            elif name in FAULTS:
                rules[name] = [] if not value else [Rule(name, one) for one in
                                                    (value if isinstance(value, list) else [value])]
            else:
                raise ValueError("no fault is named %s; there are %s" % (name, ", ".join([*FAULTS, *CONDITIONS])))
        self.rules.update(rules)
        self.rules = {name: each for name, each in self.rules.items() if each}
        self.conditions.update(conditions)
        self.asked = {name: value for name, value in {**self.asked, **asked}.items() if value}

    @staticmethod
    def _condition(name, value):
        if name != "shards":
            return value if value else CONDITIONS[name]
        if not value:
            return None
        asked = {} if value is True else value
        unknown = set(asked) - set(CONDITIONS["shards"])
        if unknown:
            raise ValueError("shards has no %s" % ", ".join(sorted(unknown)))
        if asked.get("order", "created") not in ("created", "newest"):
            raise ValueError("shards are listed in order created or newest")
        return {**CONDITIONS["shards"], **asked}

    def clear(self):
        self.asked, self.rules, self.conditions = {}, {}, dict(CONDITIONS, shards=None)

    def strikes(self, name, request):
        """The rule that strikes this request, or None."""
        for number, rule in enumerate(self.rules.get(name, ())):
            if rule.means(request) and (name in ("hot_key", "clock_skew") or
                                        request.chance.below(rule["rate"], "%s %d" % (name, number))):
                if name not in ("hot_key", "clock_skew"):  # These look closer first, and count what they struck.
                    rule.struck += 1
                    request.struck(name)
                return rule
        return None


class Chance:
    """Numbers that look random and are a function of the seed and the place they are asked for."""

    __slots__ = ("key",)

    def __init__(self, seed, *identity):
        state = hashlib.blake2b(str(seed).encode(), digest_size=16)
        for part in identity:
            state.update(part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass"))
            state.update(b"\0")
        self.key = state.digest()

    def uniform(self, label):
        digest = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), key=self.key, digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2.0 ** 64

    def below(self, rate, label):
        return rate >= 1 or (rate > 0 and self.uniform(label) < rate)

    def one_of(self, things, label):
        return things[int(self.uniform(label) * len(things))]

    def shuffled(self, things, label):
        return [t for _, t in sorted((self.uniform("%s %d" % (label, n)), t) for n, t in enumerate(things))]


def reply_json(status, payload, **more):
    """A reply as DynamoDB sends it, with the checksum of its raw body."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    text = {200: b"OK", 400: b"Bad Request", 500: b"Internal Server Error", 503: b"Service Unavailable"}
    fields = [(b"Server", b"Server"), (b"Date", formatdate(usegmt=True).encode()),
              (b"Content-Type", b"application/x-amz-json-1.0"), (b"Content-Length", b"%d" % len(body)),
              (b"Connection", b"keep-alive"), (b"x-amzn-RequestId", uuid.uuid4().hex.upper().encode()),
              (b"x-amz-crc32", b"%d" % zlib.crc32(body))]
    fields += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    return Message(b"HTTP/1.1 %d %s" % (status, text[status]), fields, body)


def with_json(reply, payload):
    """The server's own reply with another payload, and the checksum that belongs to it."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    changed = reply.without(b"content-encoding").with_body(body)
    return changed.with_field(b"x-amz-crc32", b"%d" % zlib.crc32(body)) if reply.get(b"x-amz-crc32") else changed


DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
SERVICE = "com.amazon.coral.service#"


def error(kind, message, prefix=DYNAMODB, status=400, label="message", **more):
    return reply_json(status, {"__type": prefix + kind, label: message, **more})


def invalid(message):
    return error("ValidationException", message, prefix="com.amazon.coral.validate#")


def resource(request, table, index=None):
    return "arn:aws:dynamodb:%s:000000000000:table/%s%s" % (request.region, table, "/index/" + index if index else "")


def throttled(request, reason, schema, kind=None, limits=LIMITS):
    """A throttling error with one of the documented reasons that can hold for this request."""
    table = request.tables[0] if request.tables else "unknown"
    if reason is None and request.op not in DATA:  # Streams and the control plane give no reasons.
        kind = kind or request.chance.one_of(["ThrottlingException", "LimitExceededException"], "throttle kind")
        return error(kind, "Rate exceeded; injected by the fault proxy",
                     prefix="com.amazon.coral.availability#" if kind == "ThrottlingException" else DYNAMODB)
    indexes = list(schema.indexes) if schema else []
    if request.op in READS:  # One read is of the table or of one index; a write is of all of them.
        indexes = [request.body["IndexName"]] if "IndexName" in request.body else []
    if reason is None:
        way = "Read" if request.op in READS else "Write"
        where = "Index" if way == "Read" and indexes else \
            request.chance.one_of(["Table", "Index"] if indexes else ["Table"], "throttle where")
        reason = where + way + request.chance.one_of(limits, "throttle limit")
    if kind is None:
        if reason.endswith("AccountLimitExceeded"):
            kind = "RequestLimitExceeded"
        elif reason.endswith("MaxOnDemandThroughputExceeded"):
            kind = "ThrottlingException"
        elif reason.endswith("KeyRangeThroughputExceeded"):  # Provisioned tables say the first, on-demand the second.
            kind = request.chance.one_of(THROTTLES[:2], "throttle kind")
        else:
            kind = "ProvisionedThroughputExceededException"
    index = None
    if reason.startswith("Index"):
        index = request.chance.one_of(indexes, "throttle index") if indexes else "index"
    prefix = "com.amazon.coral.availability#" if kind == "ThrottlingException" else DYNAMODB
    return error(kind, "Throughput exceeds the current capacity for one or more resources; injected by the fault proxy",
                 prefix=prefix, label=request.chance.one_of(["message", "Message"], "label"),
                 ThrottlingReasons=[{"reason": reason, "resource": resource(request, table, index)}])


def failed(request, status):
    """500 and 503. A front end in trouble does not always speak JSON."""
    style = request.chance.one_of(["json", "json", "html", "empty"], "503 style") if status == 503 else "json"
    if style == "json":
        kind, prefix = ("InternalServerError", DYNAMODB) if status == 500 else ("ServiceUnavailable", SERVICE)
        return error(kind, "The request could not be processed; injected by the fault proxy", prefix, status,
                     label=request.chance.one_of(["message", "Message"], "label"))
    body = b"<html><body>503 Service Unavailable</body></html>" if style == "html" else b""
    reply = reply_json(503, body).without(b"x-amz-crc32")
    return reply.with_field(b"Content-Type", b"text/html") if style == "html" else reply.without(b"content-type")


def stamp(seconds):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def skewed(request, seconds):
    """The refusal of a server whose clock is `seconds` ahead of ours; None when the request's date suits it."""
    server = time.time() + seconds
    told = request.message.get(b"x-amz-date").decode("latin-1")
    try:
        client = calendar.timegm(time.strptime(told, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None
    if abs(client - server) <= 300:
        return None
    if client < server:
        text = "Signature expired: %s is now earlier than %s (%s - 5 min.)" % (told, stamp(server - 300), stamp(server))
    else:
        text = "Signature not yet current: %s is still later than %s (%s + 5 min.)" % (
            told, stamp(server + 300), stamp(server))
    return error("InvalidSignatureException", text, prefix=SERVICE)
