"""Real servers for a test, on 127.0.0.1, for as long as a `with` lasts.

    from servers import dynamodb_local
    with dynamodb_local() as server:
        subprocess.run([BINARY, ...], env={**os.environ, **server.environment})

A server that was entered answers. It ends with the `with`, and also when the test is killed: see
tools/servers/run, which starts it and is told by a pipe. That needs no more than the standard library;
only `client` wants boto3, so a test that uses it runs under tools/servers/python.

The first start on a machine installs the server, which takes minutes; tools/servers/install does it
before.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess

SERVERS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "servers"
RUN = SERVERS / "run"


class ServerFailed(Exception):
    """It could not be installed or started, or it ended within the `with`."""


@dataclasses.dataclass
class Server:
    name: str
    url: str
    port: int
    pid: int           # of the server itself, to be killed or stopped (SIGSTOP) by a test
    log: pathlib.Path  # what it printed, while it runs
    environment: dict  # by which whimbrel and the AWS tools find it
    _runner: subprocess.Popen
    _killed: bool = False

    def kill(self, by=signal.SIGKILL):
        """As a crash would, or another end. Afterwards it is gone; one with the same port and data can follow."""
        self._killed = True
        os.kill(self.pid, by)
        self._runner.wait()

    def client(self, service, **options):
        """A client of boto3: `server.client("dynamodb")`."""
        import boto3
        from botocore.config import Config
        config = Config(s3={"addressing_style": "path"}).merge(options.pop("config", Config()))
        return boto3.session.Session().client(service, **{
            "endpoint_url": self.url,
            "region_name": self.environment["AWS_REGION"],
            "aws_access_key_id": self.environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.environment["AWS_SECRET_ACCESS_KEY"],
            "config": config,
            **options})


def dynamodb_local(port=0, data=None, delayed=False):
    """In memory, or with its files in `data`: on /dev/shm that is ten times as fast as on a disk.

    It reads slowly what is large: keep a table under 50,000 rows, and scan it in segments. It never
    throttles and looks at no signature.
    """
    return _running("dynamodb-local", port, data, ["--delayed"] if delayed else [])


def moto(port=0):
    """For what DynamoDB Local lacks: backups, exports, Lambda, parameters, alarms. No oracle for data."""
    return _running("moto", port, None, [])


def versitygw(port=0, data=None):
    """S3 that checks signatures. `data` has to be on a file system with extended attributes."""
    return _running("versitygw", port, data, [])


def postgresql(port=0, data=None, name=os.environ.get("WHIMBREL_POSTGRESQL", "postgresql")):
    """PostgreSQL 15, or `name`, or what WHIMBREL_POSTGRESQL names. `url` is one that psql and whimbrel take; it forgets nothing but a power cut."""
    return _running(name, port, data, [])


def is_installed(name):
    """Whether tools/servers/install has put it where it is looked for."""
    where = subprocess.run([SERVERS / "install", "--where", name], capture_output=True, text=True, check=True)
    return pathlib.Path(where.stdout.strip()).exists()


@contextlib.contextmanager
def _running(name, port, data, options):
    if data is not None:
        options = [*options, "--data", str(data)]
    # A session of its own: it has to outlive a kill of the test's group, to clean up.
    runner = subprocess.Popen([RUN, name, str(port), "--piped", *options], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              start_new_session=True)
    with runner:
        try:
            line = runner.stdout.readline()
            if not line:
                raise ServerFailed(runner.stderr.read().strip())
            facts = json.loads(line)
            server = Server(name=name, _runner=runner, **{**facts, "log": pathlib.Path(facts["log"])})
            try:
                yield server
            finally:
                if runner.poll() is not None and not server._killed:
                    # Raised over an error of the test, which it explains.
                    raise ServerFailed(runner.stderr.read().strip())
        finally:
            # Not by closing the pipe: a forked child of the test may hold it as well.
            runner.terminate()
            runner.wait()
