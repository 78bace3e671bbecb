"""A server of a test's own that plays STS, SSO, container, machine and DynamoDB; and whimbrel, which asks it.

It notes how each request was signed, and the access keys that it gives tell how they were come by. Everything
that AWS's tools read lies in a home folder of the test's own, which is also botocore's: it is imported here.
"""
import atexit
import contextlib
import datetime
import email.utils
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
from unittest import mock

BINARY = os.environ["WHIMBREL"]
HOME = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-aws-"))
atexit.register(shutil.rmtree, HOME, True)
SYSTEM = {"PATH": os.environ["PATH"], "HOME": str(HOME)}
with mock.patch.dict(os.environ, SYSTEM):  # it looks at HOME while it is imported
    import botocore.loaders
    import botocore.session
LOADER = botocore.loaders.Loader()
SECRET, TOKEN = "s3cr3t-", "t0k3n-"  # what no text may hold
HERE = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"}


def moment(seconds, form="%Y-%m-%dT%H:%M:%SZ"):
    return (datetime.datetime.utcnow() + datetime.timedelta(seconds=seconds)).strftime(form)


def keys_of(name):
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": SECRET + name}


class Amazon:
    """All services in one; DynamoDB is without tables, or the server behind it."""

    def __init__(self, certificate=None):
        self.asked, self.sts, self.others = [], [], []  # of DynamoDB, of STS, of everybody else
        self.behind = None                              # a server of DynamoDB Local
        self.ahead = 0                                  # seconds that its clock is ahead of ours
        self.expired = lambda key: False                # which access keys have expired
        amazon = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, text = amazon.answer(self.command, self.path, self.headers, body)
                self.send_response_only(status)
                self.send_header("Date", email.utils.formatdate(time.time() + amazon.ahead, usegmt=True))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = handle_one

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = "%s://127.0.0.1:%d" % ("https" if certificate else "http", self.port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self):
        asked, self.asked, self.sts, self.others = self.asked, [], [], []
        return asked

    @staticmethod
    def given(name):
        return {"AccessKeyId": name, "SecretAccessKey": SECRET + name, "Token": TOKEN + name, "Expiration": moment(3600), "Code": "Success",
                "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z"}

    def answer(self, method, path, headers, body):
        signed = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request", headers.get("Authorization", ""))
        key, region = signed.groups()[:2] if signed else ("", "")
        if headers.get("X-Amz-Target"):
            return self.dynamodb(key, region, path, headers, body)
        if body:
            return 200, self.assume(key, dict(urllib.parse.parse_qsl(body.decode())))
        self.others.append((method, path, headers.get("Authorization", "")))
        url = urllib.parse.urlsplit(path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        if url.path.endswith("/federation/credentials"):
            if headers.get("x-amz-sso_bearer_token") != TOKEN + "sso":
                return 401, b'{"__type": "UnauthorizedException", "message": "Session token not found or invalid"}'
            name = "sso-%s-%s" % (asked["account_id"], asked["role_name"])
            return 200, json.dumps({"roleCredentials": {
                "accessKeyId": name, "secretAccessKey": SECRET + name, "sessionToken": TOKEN + name,
                "expiration": int((time.time() + 3600) * 1000)}}).encode()
        if url.path == "/container":
            return 200, json.dumps(self.given("container." + headers.get("Authorization", "").replace(TOKEN, ""))).encode()
        if url.path == "/latest/api/token" and method == "PUT":
            return 200, (TOKEN + "machine").encode()
        if url.path.startswith("/latest/meta-data/") and headers.get("X-aws-ec2-metadata-token") != TOKEN + "machine":
            return 401, b""
        if url.path == "/latest/meta-data/iam/security-credentials/":
            return 200, b"of-the-machine"
        if url.path == "/latest/meta-data/iam/security-credentials/of-the-machine":
            return 200, json.dumps(self.given("machine")).encode()
        return 404, b""

    def assume(self, key, form):
        """Gives a key that names the role, and who asked for it."""
        self.sts.append({**form, "by": key})
        if form["RoleArn"].endswith("/forbidden"):
            return b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"
        who = "web." + form["WebIdentityToken"].replace(TOKEN, "") if "WebIdentityToken" in form else key
        name = ".".join([form["RoleArn"].split("/")[1]] + [form[more] for more in ("ExternalId", "DurationSeconds") if more in form] + ["of", who])
        one = form["Action"]
        return ("<{0}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{0}Result><AssumedRoleUser><Arn>a</Arn><AssumedRoleId>b</AssumedRoleId>"
                "</AssumedRoleUser><Credentials><AccessKeyId>{1}</AccessKeyId><SecretAccessKey>{2}</SecretAccessKey><SessionToken>{3}</SessionToken>"
                "<Expiration>{4}</Expiration></Credentials></{0}Result><ResponseMetadata><RequestId>c</RequestId></ResponseMetadata>"
                "</{0}Response>").format(
                    one, name, SECRET + name, TOKEN + name, moment(3600)).encode()

    def dynamodb(self, key, region, path, headers, body):
        asked = json.loads(body or b"{}")
        tables = sorted(asked.get("RequestItems", {asked.get("TableName", ""): 0}))
        self.asked.append({"key": key, "token": headers.get("X-Amz-Security-Token", ""), "region": region, "path": path.strip("/"),
                           "host": headers["Host"], "operation": headers["X-Amz-Target"].split(".")[1], "tables": tables})
        at = datetime.datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if abs(at - time.time() - self.ahead) > 300:
            return 400, b'{"__type": "com.amazon.coral.service#InvalidSignatureException", "message": "Signature expired"}'
        if self.expired(key):
            return 400, b'{"__type": "com.amazon.coral.service#ExpiredTokenException", "message": "The security token included in the request is expired"}'
        if self.behind is None:
            return 200, b'{"TableNames": []}'
        server = http.client.HTTPConnection("127.0.0.1", self.behind.port)
        sent = {name: value for name, value in headers.items() if name.lower().startswith(("x-amz-target", "x-amz-date", "content-type"))}
        sent["Authorization"] = ("AWS4-HMAC-SHA256 Credential=%s/20200101/%s/dynamodb/aws4_request, SignedHeaders=host, Signature=0" %
                                 (self.behind.environment["AWS_ACCESS_KEY_ID"], self.behind.environment["AWS_REGION"]))
        server.request("POST", "/", body, sent)
        got = server.getresponse()
        text = got.read()
        server.close()
        return got.status, text


class Proxy:
    """Takes CONNECT, notes where to, and leads everything to one port; to none, it refuses."""

    def __init__(self, port=None):
        self.asked, self.port = [], port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.lead, args=(self.listener.accept()[0],), daemon=True).start()

    def lead(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return
            head += more
        self.asked.append(head.split()[1].decode())
        if self.port is None:
            client.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        client.sendall(b"HTTP/1.1 200 Yes\r\n\r\n")
        server = socket.create_connection(("127.0.0.1", self.port))
        threading.Thread(target=self.pour, args=(client, server), daemon=True).start()
        self.pour(server, client)

    @staticmethod
    def pour(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def no_secret(text):
    assert SECRET not in text and TOKEN not in text, "a secret is told: ...%s..." % text[max(0, text.find(SECRET), text.find(TOKEN)) - 100:][:200]


def files(config="", credentials="", **more):
    """What lies in the home folder, and nothing else; `more` are names in it."""
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / ".aws" / "sso" / "cache").mkdir(parents=True)
    (HOME / ".aws" / "config").write_text(config)
    (HOME / ".aws" / "credentials").write_text(credentials)
    (HOME / "process.sh").write_text("echo '%s'\n" % json.dumps(
        {"Version": 1, "AccessKeyId": "process.NAME", "SecretAccessKey": SECRET + "p", "SessionToken": TOKEN + "p"}).replace("NAME", "'$1'"))
    (HOME / "web").write_text(TOKEN + "w")
    for name, text in more.items():
        (HOME / name).write_text(text)


def cache_of(name):
    return HOME / ".aws" / "sso" / "cache" / (hashlib.sha1(name.encode()).hexdigest() + ".json")


def log_in(name, seconds=3600, token=TOKEN + "sso", form="%Y-%m-%dT%H:%M:%SZ"):
    """What `aws sso login` leaves."""
    cache_of(name).write_text(json.dumps({"startUrl": "https://example.awsapps.com/start", "region": "eu-west-1", "accessToken": token,
                                          "expiresAt": moment(seconds, form)}))


class Answer:
    def __init__(self, code, text, asked):
        self.code, self.text, self.asked = code, text, asked
        self.key = asked[-1]["key"] if asked else None

    def __repr__(self):
        return "exit %d, %s: %s" % (self.code, self.asked, self.text[-600:])


def ask(environment, query="", region="", local=True):
    """Lets whimbrel look for tables, and tells as whom it did. `local`: with all services at the server of this test."""
    AMAZON.take()
    environment = {**SYSTEM, **({"AWS_ENDPOINT_URL": AMAZON.url} if local else {}), **environment}
    done = subprocess.run([BINARY, "init", "dynamodb:%s%s" % (region, query and "?" + query)], env=environment, cwd=HOME, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    no_secret(done.stdout + done.stderr)
    return Answer(done.returncode, done.stdout + done.stderr, list(AMAZON.asked))


def session_of_botocore(environment, profile):
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", LOADER)
    return session


AMAZON = Amazon()
