"""whimbrel's signatures against botocore's, on requests made from a seed.

Runs under tools/servers/python, with SIGNER_ORACLE naming the program that signs. SEED and REQUESTS say
which requests, and how many of each kind.
"""
import datetime
import json
import os
import pathlib
import random
import subprocess
import sys
import urllib.parse
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
os.environ.setdefault("WHIMBREL", "")  # the scenarios' module wants one; nothing here starts it
from whimbrel import main  # noqa: E402

SEED = int(os.environ.get("SEED", "1"))
REQUESTS = int(os.environ.get("REQUESTS", "4000"))
CHARACTERS = list("abzAZ09-._~ *%&=+?#/:;,@!$'()[]{}|\\^`\"<>\t") + ["é", "ß", "漢", "🜁", "\u0301", "\x7f", "%20", "%2F", "%%", "\u2028"]
KEPT = "-._~"           # what is never escaped
ALLOWED = ":@!$'()*,;"  # what some programs escape in a query and others do not
UNSIGNED = ["User-Agent", "Expect", "X-Amzn-Trace-Id", "Connection", "Transfer-Encoding", "AUTHORIZATION"]
ADDED = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"]
SERVICES = ["dynamodb", "lambda", "ssm", "sts", "monitoring", "sso"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, most):
        return "".join(self.random.choices(CHARACTERS, k=self.random.randint(0, most)))

    def name(self):
        return "".join(self.random.choices("abcxyzABC019-", k=self.random.randint(1, 9)))

    def escaped(self, text, keep, canonical):
        """As it may stand in a URL: strictly, else also with small digits, needless escapes, and none where none is needed."""
        out = []
        for byte in text.encode():
            letter = chr(byte)
            spell = "%%%02X" % byte if canonical or self.random.random() < 0.7 else "%%%02x" % byte
            plain = letter.isascii() and (letter.isalnum() or letter in keep)
            if not canonical and plain and letter != "/" and self.random.random() < 0.1:
                plain = False
            out.append(letter if plain else spell)
        return "".join(out)

    def host(self):
        scheme = self.random.choice(["http", "https", "https"])
        name = self.random.choice(["dynamodb.eu-west-1.amazonaws.com", "localhost", "127.0.0.1", "[::1]", "a.b-c.example", "x"])
        name = self.random.choice(["", "", "", "", "user:password@"]) + name
        return "%s://%s%s" % (scheme, name, self.random.choice(["", "", ":80", ":443", ":8000", ":8443", ":4430", ":8"]))

    def key(self):
        """Of an object in a bucket: whatever people write, doubled slashes and dots included."""
        parts = [self.random.choice(["", ".", "..", "*", "~", " ", "a b", "100%", "%41", "+", self.text(8), self.text(20)])
                 for _ in range(self.random.randint(0, 6))]
        return "/bucket-1" + "".join("/" + part for part in parts)

    def path(self):
        """Of another service. It ends with no dots: whether a slash stays behind them is told differently by RFC 3986 and botocore."""
        parts = [self.random.choice(["2015-03-31", "functions", "", ".", "..", "arn:aws:lambda:eu-west-1:1:function:f", self.text(9)])
                 for _ in range(self.random.randint(0, 6))]
        return "/" + "".join(part + "/" for part in parts) + self.random.choice(["", "last", self.text(5) + "x"])

    def query(self):
        names = ["uploadId", "partNumber", "list-type", "Param1", "Param", "param", "é", self.text(6)]
        pairs = [(self.random.choice(names), self.random.choice(["", "1", "2", "a=b", "A", self.text(10)]))
                 for _ in range(self.random.choice([0, 0, 1, 2, 5]))]
        return [pair for pair in pairs if pair != ("", "")]

    def value(self):
        words = [self.random.choice(["a", "B", "é", "\"q", "1,2", "bytes=0-99", "*"]) for _ in range(self.random.randint(0, 4))]
        blanks = lambda: self.random.choice([" ", "  ", "\t", " \t  "])  # noqa: E731
        return self.random.choice(["", blanks()]) + "".join(word + blanks() for word in words) + self.random.choice(["", "end"])

    def headers(self):
        names = ["X-Amz-Target", "content-type", "Range", "If-Match", "x-amz-meta-b", "X-AMZ-META-A", "Zebra", "accept", self.name() + "h"]
        chosen = self.random.choices(names, k=self.random.randint(0, 5)) + self.random.choices(UNSIGNED, k=self.random.choice([0, 0, 1]))
        self.random.shuffle(chosen)
        return [[name, self.value()] for name in chosen]

    def request(self, s3):
        body = self.random.choice([b"", b"", b"{}", self.text(40).encode(), self.random.randbytes(self.random.randint(1, 3000))])
        days, seconds = self.random.choice([0, 0, 58, 59, 364, 3333]), self.random.randrange(86400)
        moment = datetime.datetime(2015, 1, 1) + datetime.timedelta(days=days, seconds=seconds)
        path, canonical = (self.key(), self.random.random() < 0.5) if s3 else (self.path(), True)
        return {"method": self.random.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), "host": self.host(), "path": path, "canonical": canonical,
                "query": self.query(), "headers": self.headers(), "body": body, "moment": moment, "s3": s3,
                "service": "s3" if s3 else self.random.choice(SERVICES), "region": self.random.choice(["eu-west-1", "us-east-1", "cn-north-1"]),
                "access_key": self.random.choice(["AKIDEXAMPLE", "ASIAX"]),
                "secret_key": self.random.choice(["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "s"]),
                "session_token": self.random.choice(["", "", "AQoDYXdzEPT//////////wEXAMPLE+a==", self.name() * 150])}

    def told(self, one):
        """As whimbrel gets it: all in one URL, whose query may be spelled in any way that means the same."""
        url = one["host"] + self.escaped(one["path"], KEPT + "/", one["canonical"])
        keep = KEPT + self.random.choice(["", ALLOWED, "/?" + ALLOWED])
        pairs = [self.escaped(name, keep, False) + ("" if not value and self.random.random() < 0.5 else "=" + self.escaped(value, keep, False))
                 for name, value in one["query"]]
        if pairs:
            url += "?" + "&".join(pairs)
        at = int(one["moment"].replace(tzinfo=datetime.timezone.utc).timestamp() * 1000) + self.random.choice([0, 1, 999])
        return {"url": url, "body": one["body"].hex(), "at": at,
                **{name: one[name] for name in ("method", "headers", "s3", "service", "region", "access_key", "secret_key", "session_token")}}


def by_botocore(one):
    """The headers that botocore adds, and what it signs."""
    request = AWSRequest(method=one["method"], url=one["host"] + urllib.parse.quote(one["path"], safe="/" + KEPT), data=one["body"], params=one["query"])
    for name, value in one["headers"]:
        request.headers[name] = value
    kind = botocore.auth.S3SigV4Auth if one["s3"] else botocore.auth.SigV4Auth
    signer = kind(Credentials(one["access_key"], one["secret_key"], one["session_token"] or None), one["service"], one["region"])
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: one["moment"]):
        signer.add_auth(request)
    added = {name: request.headers[name] for name in ADDED if name in request.headers}
    del request.headers["Authorization"]
    return added, signer.canonical_request(request)


def compare(s3):
    generator = Generator(SEED * 2 + s3)
    wanted = [generator.request(s3) for _ in range(REQUESTS)]
    lines = [json.dumps(generator.told(one)) for one in wanted]
    done = subprocess.run([os.environ["SIGNER_ORACLE"]], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True, timeout=120)
    answers = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert len(answers) == len(wanted), "%d answers to %d requests" % (len(answers), len(wanted))
    distinct = set()
    for number, (one, line, answer) in enumerate(zip(wanted, lines, answers)):
        theirs, canonical = by_botocore(one)
        ours = {name: value for name, value in answer["headers"] if name in ADDED}
        assert ours == theirs, "request %d of seed %d: %s\n%s\nis not\n%s\n%s\n%s" % (number, SEED, line, ours, theirs, answer["canonical"], canonical)
        distinct.add(ours["authorization"])
    assert len(distinct) > REQUESTS * 0.95, "only %d of the requests differ" % len(distinct)


def requests_to_s3_are_signed_alike():
    """Paths are encoded once, and stay as they are."""
    compare(True)


def requests_to_other_services_are_signed_alike():
    """Paths are encoded twice, without dots and doubled slashes."""
    compare(False)


if __name__ == "__main__":
    main(requests_to_s3_are_signed_alike, requests_to_other_services_are_signed_alike)
