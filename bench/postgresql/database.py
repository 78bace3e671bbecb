"""A database of the bench's own server, and what the server says about its work."""
import os
import pathlib
import subprocess

import measuring
from measuring import Failed

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")  # Debian keeps pgbench and others off the path


class Database:
    """One database by name; `url` is one that psql, whimbrel and psycopg take."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.url = server.url.rpartition("/")[0] + "/" + name
        self.environment = {**os.environ, **server.environment, "PGDATABASE": name,
                            "DATABASE_URL": self.url,
                            "PATH": f"{os.environ['PATH']}:{PROGRAMS}"}

    def psql(self, *more):
        return ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url, *more]

    def sql(self, *texts):
        done = subprocess.run(self.psql(*(word for text in texts for word in ("-c", text))),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"psql: {done.stderr.strip()[-600:]}")
        return done.stdout.strip()

    def number(self, text):
        return int(self.sql(text))

    def fill(self, file, **variables):
        measuring.output_of(self.psql("-f", HERE / file, *(
            word for name, value in variables.items() for word in ("-v", f"{name}={value}"))))

    def made(self, template="template0"):
        """Made anew; as a copy of another one it keeps its statistics, and has nothing to vacuum."""
        admin = Database(self.server, "postgres")
        admin.sql(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)",
                  f"CREATE DATABASE {self.name} TEMPLATE {template} STRATEGY file_copy", "CHECKPOINT")
        return self

    def wal_bytes(self):
        return self.number("SELECT pg_current_wal_lsn() - '0/0'")

    def table_bytes(self):
        """Of the application's tables, with their indexes."""
        return self.number("SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
                           "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")

    def all_bytes(self):
        return self.number(f"SELECT pg_database_size('{self.name}')")


def server_cpu_s(server):
    """What the server and its sessions have used, those that have ended included."""
    own = measuring.cpu_so_far(server.pid, reaped=True) or 0
    return own + sum(measuring.cpu_so_far(pid) or 0 for pid in measuring.children_of(server.pid))


def measured(database, start):
    """What a process took that `start` starts, and what the server did meanwhile, for others too."""
    wal, cpu_s = database.wal_bytes(), server_cpu_s(database.server)
    taken = start().wait()
    return {**taken, "server_cpu_s": server_cpu_s(database.server) - cpu_s,
            "wal_mb": (database.wal_bytes() - wal) / 1e6}
