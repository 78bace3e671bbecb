"""How one comes to a PostgreSQL server: TLS, passwords, poolers, standbys, limits, and roles with settings of their own.

Certificates are made with `openssl`, the pooler is pgbouncer. What is expected is asked of the server itself with psycopg.
Runs under tools/servers/python, with WHIMBREL naming the binary; with NAME... some of the tests.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from retyped import BINARY, World, Writers, differences  # noqa: E402
from servers import postgresql  # noqa: E402
from trying import run_each  # noqa: E402

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
SECRET = "S3cret-W0rd"
ODD_SECRET = "p@s:s/?#[]%& \"'ü+1"
RULES = """
host    all postgres all trust
hostssl all by_card  all cert
hostssl all by_tls   all trust
host    all by_tls   all reject
host    replication  all all trust
host    all by_md5   all md5
host    all all      all scram-sha-256
"""


class Place:
    """A server whose data folder is ours, with roles that come in by different doors."""

    def __init__(self, server, folder):
        self.server, self.folder, self.port = server, folder, server.port
        self.url = server.url

    def sql(self, text, database="postgres"):
        with psycopg.connect(self.at(database), autocommit=True) as connection:
            answer = connection.execute(text)
            return answer.fetchall() if answer.description else None

    def at(self, database):
        return self.url.rsplit("/", 1)[0] + "/" + database

    def as_role(self, role, password=None, host="127.0.0.1", more=""):
        who = role if password is None else "%s:%s" % (role, urllib.parse.quote(password, safe=""))
        return "postgresql://%s@%s:%d/postgres%s" % (who, host, self.port, more)

    def empty_databases(self, *names):
        for name in names:
            self.sql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)
            self.sql("CREATE DATABASE %s" % name)

    def lets_in(self, rules):
        """The server's own rules; psycopg comes in as postgres whatever they are."""
        hba = self.folder / "data" / "pg_hba.conf"
        hba.write_text(rules)
        self.sql("SELECT pg_reload_conf()")

    def eventually(self, question, answer):
        for _ in range(200):
            if self.sql(question)[0][0] == answer:
                return
            time.sleep(0.02)
        raise AssertionError("%s is not %s" % (question, answer))


@contextlib.contextmanager
def place():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-connections-"))
    folder.chmod(0o755)
    try:
        with postgresql(data=folder / "data") as server:
            there = Place(server, folder)
            there.sql("CREATE ROLE by_card SUPERUSER LOGIN; CREATE ROLE by_tls SUPERUSER LOGIN; CREATE ROLE plain SUPERUSER LOGIN PASSWORD '%s';"
                      "CREATE ROLE odd SUPERUSER LOGIN PASSWORD '%s'; SET password_encryption = 'md5'; CREATE ROLE by_md5 SUPERUSER LOGIN PASSWORD '%s'"
                      % (SECRET, ODD_SECRET.replace("'", "''"), SECRET))
            there.lets_in(RULES)
            yield there
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_the_server(path):
    """As root, the server runs as somebody else."""
    if os.getuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def whimbrel(plan, *words, **environment):
    """The exit code and all that it says, which never is a password."""
    state = ["--state", str(plan.parent / ("state of " + plan.stem))]
    done = subprocess.run([BINARY, *words[0].split(), str(plan), *words[1:], *state], cwd=plan.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, env={**os.environ, "HOME": str(plan.parent), **environment})
    said = done.stdout + done.stderr
    assert "S3cret" not in said, said
    return done.returncode, said


def expect(code, words, plan, *verb, **environment):
    """It ends with this code and says all of this."""
    got, said = whimbrel(plan, *verb, **environment)
    missing = [word for word in words if word not in said]
    assert got == code and not missing, "%s ended with %d instead of %d, without %s:\n%s" % (verb, got, code, missing, said[-3000:])
    return said


def comes_in(world, url, **environment):
    expect(0, ["checked: "], world.plan, "check", DATABASE_URL=url, **environment)


def stays_out(world, url, *words, **environment):
    """Refused before anything: exit 3, and not one to be tried again."""
    said = expect(3, ["nothing was changed", *words], world.plan, "check", DATABASE_URL=url, **environment)
    assert "does not answer" not in said, said


# ---------------------------------------------------------------- TLS

def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".crt")


def make_certificate(folder, name, subject, host=None):
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + subject, "-keyout", name + ".key", "-out", name + ".csr")
    (folder / "more").write_text("subjectAltName=DNS:%s\n" % host if host else "")
    openssl(folder, "x509", "-req", "-in", name + ".csr", "-CA", "ours.crt", "-CAkey", "ours.key", "-CAcreateserial", "-days", "2", "-extfile", "more", "-out", name + ".crt")


def tls_is_had_or_refused(there):
    world = World(there)
    stays_out(world, there.as_role("postgres", more="?sslmode=require"), "does not support SSL", "`sslmode`")
    folder = there.folder
    for name in ("ours", "others"):
        make_authority(folder, name)
    make_certificate(folder, "server", "localhost", host="localhost")
    make_certificate(folder, "card", "by_card")
    for name in ("server.key", "server.crt", "ours.crt"):
        shutil.copy(folder / name, folder / "data" / name)
        as_the_server(folder / "data" / name)
    there.sql("ALTER SYSTEM SET ssl_ca_file = 'ours.crt'")
    there.sql("ALTER SYSTEM SET ssl = on")
    there.sql("SELECT pg_reload_conf()")
    there.eventually("SHOW ssl", "on")
    ours, others = "&sslrootcert=%s/ours.crt" % folder, "&sslrootcert=%s/others.crt" % folder
    comes_in(world, there.as_role("by_tls", more="?sslmode=require"))
    comes_in(world, there.as_role("by_tls", more="?sslmode=verify-ca" + ours))
    comes_in(world, there.as_role("by_tls", host="localhost", more="?sslmode=verify-full" + ours))
    stays_out(world, there.as_role("by_tls", more="?sslmode=disable"), "no encryption")
    stays_out(world, there.as_role("by_tls", more="?sslmode=verify-ca" + others), "certificate verify failed", "`sslrootcert`")
    stays_out(world, there.as_role("by_tls", more="?sslmode=verify-full" + ours), "does not match host name", "`sslmode`")
    stays_out(world, there.as_role("by_tls", more="?sslmode=verify-full&sslrootcert=/gone.crt"), "/gone.crt", "`sslrootcert`")
    card = "?sslmode=require&sslcert=%s/%s.crt&sslkey=%s/%s.key"
    comes_in(world, there.as_role("by_card", more=card % (folder, "card", folder, "card")))
    stays_out(world, there.as_role("by_card", more="?sslmode=require"), "client certificate", "`sslcert`")
    stays_out(world, there.as_role("by_card", more=card % (folder, "others", folder, "others")), "unknown ca", "`sslcert`")
    (folder / "card.key").chmod(0o644)
    stays_out(world, there.as_role("by_card", more=card % (folder, "card", folder, "card")), "group or world access", "`sslkey`")
    world.close()


# ---------------------------------------------------------------- passwords

def passwords_come_from_where_libpq_looks(there):
    world = World(there)
    passfile, services = there.folder / "pass", there.folder / "services"
    services.write_text("[shop]\nhost=127.0.0.1\nport=%d\ndbname=postgres\nuser=plain\npassword=%s\n" % (there.port, SECRET))
    for role in ("plain", "by_md5"):
        url = there.as_role(role)
        comes_in(world, there.as_role(role, SECRET))
        comes_in(world, url, PGPASSWORD=SECRET)
        passfile.write_text("127.0.0.1:%d:*:%s:%s\n" % (there.port, role, SECRET))
        passfile.chmod(0o600)
        comes_in(world, url, PGPASSFILE=str(passfile))
        stays_out(world, url, "no password supplied", "psql")
        stays_out(world, there.as_role(role, "S3cret-wrong"), "password authentication failed for user \"%s\"" % role)
    for url, more in (("postgresql://?service=shop", {}), ("postgresql://", {"PGSERVICE": "shop"})):
        comes_in(world, url, PGSERVICEFILE=str(services), **more)
    stays_out(world, "postgresql://?service=none", "definition of service \"none\" not found", PGSERVICEFILE=str(services))
    comes_in(world, there.as_role("odd", ODD_SECRET))
    comes_in(world, "postgresql://127.0.0.1:%d/postgres?user=odd&password=%s" % (there.port, urllib.parse.quote(ODD_SECRET, safe="")))
    world.close()


def a_url_that_cannot_be_read_tells_nothing_of_its_password(there):
    world = World(there)
    rest = "@127.0.0.1:%d/postgres" % there.port
    for url in ("postgresql://odd:S3cret%zz" + rest, "postgresql://odd:S3cret@S3cret" + rest, "postgresql://odd:S3cret/S3cret" + rest, "postgresql://odd:1/S3cret" + rest,
                "postgresql://127.0.0.1/postgres?user=odd&password=S3cret=S3cret", "postgresql://127.0.0.1/postgres?password=a&S3cret", "postgresql://odd:S3cret@[1"):
        stays_out(world, url, "cannot be read", "%40 for `@`")
        literal = world.folder / "literal.yaml"
        literal.write_text(world.plan.read_text().replace("${DATABASE_URL}", url))
        expect(3, ["cannot be read"], literal, "check")
    stays_out(world, "postgresql://odd:S3cret/postgres", "its port is no number")
    world.close()


def kept_in(folder):
    """Every byte that is written there, unpacked."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()
            if path.suffix == ".zst":
                yield path, subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout


def a_password_in_a_plan_goes_nowhere_else(there):
    there.empty_databases("shop")
    there.sql("CREATE TABLE people (id varchar(36) PRIMARY KEY); INSERT INTO people SELECT gen_random_uuid()::text FROM generate_series(1, 50)", "shop")
    where = "127.0.0.1:%d" % there.port
    for number, url in enumerate(("postgresql://plain:%s@%s/shop" % (SECRET, where), "postgresql://%s/shop?user=plain&password=%s" % (where, SECRET))):
        world = World(there, ddl="")
        state = world.folder / "state of plan"
        world.plan.write_text(world.plan.read_text().replace("${DATABASE_URL}", url) + "queries: {q: {old: \"SELECT count(*) FROM people\"}}\nbackup: {of: [source], to: \"file:kept\"}\n")
        for verb in ("analyze", "run --yes", "status", "verify", "diagnose summary", "report", "rollback --yes"):
            expect(0, [], world.plan, verb)
        expect(0, [], world.plan, "report", "--html", str(state / "page.html"))
        for path, text in kept_in(state):
            assert b"S3cret" not in text, path
        # Where the line of the plan is shown, it is without.
        world.plan.write_text(world.plan.read_text().replace(SECRET, "S3cret-wrong"))
        expect(3, ["***", "password authentication failed"], world.plan, "check")
        for one in (url, url.replace("/shop", "/"), url.replace("/shop", "")):
            done = subprocess.run([BINARY, "init", one], capture_output=True, text=True, env={**os.environ, "PGDATABASE": "shop"}, cwd=world.folder, stdin=subprocess.DEVNULL)
            assert done.returncode == 0 and "S3cret" not in done.stdout + done.stderr and "migration: " in done.stdout, done
        world.close()


# ---------------------------------------------------------------- poolers

@contextlib.contextmanager
def pooler(there, mode, **settings):
    """pgbouncer before the server; its URL, and that of its socket."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pooler-", dir=there.folder))
    as_the_server(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = {"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": folder, "auth_type": "any", "pool_mode": mode, "default_pool_size": 30, **settings}
    (folder / "ini").write_text("[databases]\n* = host=127.0.0.1 port=%d user=postgres\n[pgbouncer]\n%s\n" % (there.port, "\n".join("%s = %s" % one for one in said.items())))
    as_user = ["-u", "postgres"] if os.getuid() == 0 else []
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(["/usr/sbin/pgbouncer", *as_user, folder / "ini"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for _ in range(200):
            with socket.socket() as answers:
                if answers.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield "postgresql://postgres@127.0.0.1:%d/postgres" % port, "postgresql://postgres@%s:%d/postgres" % (urllib.parse.quote(str(folder), safe=""), port)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def written_to(url, script, clients=2):
    """Somebody works there with pgbench, and is told of no error."""
    bench = subprocess.Popen([PROGRAMS / "pgbench", "-n", "-f", script, "-c", str(clients), "-R", "100", "-T", "100", url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    try:
        yield
        assert bench.poll() is None, bench.communicate()[0][-1000:]
    finally:
        bench.terminate()
        said = bench.communicate()[0]
    assert "error" not in said.lower(), said[-1000:]


def a_pooler_of_sessions_carries_what_the_server_does(there):
    example = ROOT / "examples" / "uuid-conversion"
    with pooler(there, "session") as (url, by_socket):
        world = World(there, ddl=(example / "schema.sql").read_text())
        shutil.copy(example / "migration.yaml", world.plan)
        kind = "SELECT data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'tags' AND column_name = 'user_id'"
        with written_to(url, example / "writes.sql"):
            comes_in(world, by_socket)
            for verb, then in (("analyze", "character varying"), ("run --yes", "uuid"), ("verify", "uuid"), ("rollback --yes", "character varying")):
                expect(0, [], world.plan, verb, DATABASE_URL=url)
                assert world.one(kind) == then
            time.sleep(0.2)
        assert world.one("SELECT count(*) FROM users WHERE email LIKE '%%@live'") > 10
        assert world.one("SELECT count(*) FROM journal_entries j LEFT JOIN users u ON u.id = j.user_id WHERE u.id IS NULL") == 0
        there.empty_databases("one", "other")
        one, other = (url.replace("/postgres", "/" + name) for name in ("one", "other"))
        there.sql("CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text); INSERT INTO people (note) SELECT i FROM generate_series(1, 2000) i", "one")
        move = world.folder / "move.yaml"
        move.write_text("whimbrel: 1\nmigration: move\nstores: {a: %s, b: %s}\ntables: [{from: a/people, to: b/people, create: like-source}]\nsync: capture\n" % (json.dumps(one), json.dumps(other)))
        script = world.folder / "writes.sql"
        script.write_text("\\set n random(1, 2000)\nUPDATE people SET note = 'live ' || random() WHERE id = :n;\nINSERT INTO people (note) VALUES ('new');\n")
        with written_to(one, script):
            expect(0, [], move, "run --yes --until verify")
        expect(0, [], move, "run --yes")
        with written_to(other, script):
            time.sleep(0.5)
        expect(0, ["0 differ"], move, "verify")
        rows = there.sql("TABLE people ORDER BY id", "other")
        assert len(rows) > 2010
        expect(0, [], move, "rollback --yes")
        assert there.sql("TABLE people ORDER BY id", "one") == rows
        world.close()


def what_a_session_of_the_application_has(url):
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        return [connection.execute("SHOW " + name).fetchone()[0] for name in ("search_path", "statement_timeout", "lock_timeout", "TimeZone", "row_security")]


def a_pooler_of_transactions_is_refused_before_it_notices(there):
    world = World(there)
    world.people(100)
    plain = what_a_session_of_the_application_has(there.url)
    script = world.folder / "writes.sql"
    script.write_text("\\set n random(0, 99)\nUPDATE people SET note = 'x' WHERE slot = :n;\n")
    for mode, settings in (("transaction", {}), ("transaction", {"default_pool_size": 1}), ("transaction", {"default_pool_size": 2, "server_round_robin": 1}), ("statement", {})):
        with pooler(there, mode, **settings) as (url, _), written_to(url, script, clients=4):
            for verb in ("check", "analyze", "run --yes") * 2:
                expect(3, ["pooler that gives each transaction another session", "the server's own address", "nothing was changed"], world.plan, verb, DATABASE_URL=url)
            assert {tuple(what_a_session_of_the_application_has(url)) for _ in range(5)} == {tuple(plain)}
    world.nothing_is_left()
    world.close()


def too_few_sessions_are_told(there):
    world = World(there)
    world.people(100)
    with pooler(there, "session", default_pool_size=1) as (url, _), psycopg.connect(url) as application:
        application.execute("SELECT 1")
        begun = time.monotonic()
        expect(1, ["let us in, and has not answered for 10 s", "`default_pool_size`", "nothing was changed"], world.plan, "check", DATABASE_URL=url)
        assert time.monotonic() - begun < 20
    with pooler(there, "session", max_client_conn=1) as (url, _), psycopg.connect(url):
        expect(1, ["max_client_conn", "run again when others have gone", "nothing was changed"], world.plan, "check", DATABASE_URL=url)
    there.sql("CREATE ROLE narrow LOGIN CONNECTION LIMIT 2 PASSWORD '%s'; GRANT CREATE ON DATABASE postgres TO narrow; GRANT ALL ON SCHEMA public TO narrow;"
              "GRANT SET ON PARAMETER session_replication_role TO narrow; ALTER TABLE people OWNER TO narrow; ALTER TABLE letters OWNER TO narrow; ALTER VIEW writers OWNER TO narrow" % SECRET)
    url = there.as_role("narrow", SECRET)
    expect(1, ["too many connections for role", "CONNECTION LIMIT", "nothing is switched"], world.plan, "run --yes", DATABASE_URL=url)
    expect(0, [], world.plan, "rollback --yes", DATABASE_URL=url)
    world.nothing_is_left()
    held = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                held.append(stack.enter_context(psycopg.connect(there.url)))
        expect(1, ["too many clients already", "`max_connections`", "nothing was changed"], world.plan, "check", DATABASE_URL=there.url)
    there.sql("DROP OWNED BY narrow CASCADE; DROP ROLE narrow")
    world.close()


# ---------------------------------------------------------------- who may not write, and who says otherwise

def make_standby(there):
    """A data folder that follows the server: of any version, with no more than the server's programs."""
    data, folder = there.folder / "data", there.folder / "standby"
    with psycopg.connect(there.url, autocommit=True) as connection:
        connection.execute("SELECT pg_backup_start('standby', true)")
        subprocess.run(["cp", "-a", data, folder], capture_output=True)  # what goes meanwhile is not needed
        (folder / "backup_label").write_text(connection.execute("SELECT labelfile FROM pg_backup_stop()").fetchone()[0])
    (folder / "postmaster.pid").unlink()
    (folder / "standby.signal").touch()
    with open(folder / "postgresql.auto.conf", "a") as settings:
        settings.write("primary_conninfo = 'host=127.0.0.1 port=%d user=postgres'\n" % there.port)
    for name in ("backup_label", "standby.signal"):
        as_the_server(folder / name)
    return folder


def who_lets_nobody_write_is_no_side(there):
    world = World(there)
    world.people(100)
    there.empty_databases("other")
    there.sql("CREATE TABLE people (id varchar(36) PRIMARY KEY, mail text UNIQUE NOT NULL, slot integer UNIQUE, note text)", "other")
    there.sql("CREATE ROLE reader SUPERUSER LOGIN PASSWORD '%s'; ALTER ROLE reader SET default_transaction_read_only = on" % SECRET)
    move = world.folder / "move.yaml"

    def moves(source, target, create=""):
        move.write_text("whimbrel: 1\nmigration: move\nstores: {a: %s, b: %s}\ntables: [{from: a/people, to: b/people%s}]\nsync: capture\n" % (json.dumps(source), json.dumps(target), create))
    for verb in ("check", "analyze", "run --yes"):
        expect(3, ["`default_transaction_read_only` is on", "would refuse"], world.plan, verb, DATABASE_URL=there.as_role("reader", SECRET))
    folder = make_standby(there)
    with postgresql(data=folder) as standby:
        for verb in ("check", "analyze", "run --yes"):
            expect(3, ["is a standby", "the address of the primary", "would refuse"], world.plan, verb, DATABASE_URL=standby.url)
        other = standby.url.rsplit("/", 1)[0] + "/other"
        for source, target in ((standby.url, there.at("other")), (there.url, other)):
            moves(source, target)
            for verb in ("check", "run --yes"):
                expect(3, ["is a standby", "the address of the primary"], move, verb)
        moves(there.url, other, ", create: like-source")
        expect(2, ["read-only transaction", "the address of the primary", "nothing was changed"], move, "check")
        # What was begun before goes back there as little, and says why.
        world.run("run", "--yes", "--until", "copy")
        state = world.folder / "state"
        shutil.copytree(state, world.folder / "state of plan", dirs_exist_ok=True)
        expect(3, ["read-only transaction", "the address of the primary"], world.plan, "rollback --yes", DATABASE_URL=standby.url)
    world.run("rollback", "--yes")
    world.nothing_is_left()
    world.close()


# Of a role; behind it, what they are in a session of ours.
SETTINGS = [
    ("statement_timeout", "20", "30s"), ("lock_timeout", "1", "200ms"), ("idle_in_transaction_session_timeout", "5", "0"), ("idle_session_timeout", "5", "0"),
    ("standard_conforming_strings", "off", "on"), ("client_encoding", "LATIN1", "UTF8"), ("\"DateStyle\"", "'SQL, DMY'", "ISO, MDY"),
    ("\"IntervalStyle\"", "sql_standard", "postgres"), ("\"TimeZone\"", "'Asia/Kathmandu'", "UTC"), ("bytea_output", "escape", "hex"), ("extra_float_digits", "-10", "1"),
    ("row_security", "on", "off"), ("default_transaction_isolation", "serializable", "read committed"), ("default_transaction_deferrable", "on", "off"), ("array_nulls", "off", "on"),
    ("quote_all_identifiers", "on", "off"), ("transform_null_equals", "on", "off"), ("lc_monetary", "'C.UTF-8'", "C"), ("synchronous_commit", "off", "on"), ("xmloption", "document", "content")]
# Looked into before pg_catalog, and wrong.
HOSTILE = """
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'hostile'$$;
CREATE FUNCTION hostile.pg_backend_pid() RETURNS integer LANGUAGE sql AS $$SELECT 1$$;
CREATE FUNCTION hostile.is_equal(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT false$$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.is_equal);
CREATE TABLE hostile.pg_class (oid oid, relname name);
"""
THINGS = """
CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, e text, n numeric, r real, d double precision, b bytea, at timestamptz, lt timestamp, day date,
  iv interval, tags text[], doc jsonb, m money, x xml, ok boolean);
INSERT INTO things (t, e, n, r, d, b, at, lt, day, iv, tags, doc, m, x, ok) SELECT 'ä漢\\''"' || i, nullif('e' || i % 3, 'e0'), i / 7.0, i / 7.0, i / 7.0, decode(to_hex(i + 1048576), 'hex'),
  '2026-03-04 05:06:07.123456+02'::timestamptz + i * interval '1 hour', '2026-03-04 05:06:07'::timestamp + i * interval '1 day', '2026-03-04'::date + i,
  '1 year 2 months -3 days 04:05:06.7'::interval * i, ARRAY['a', NULL, 'null', 'b"c\\'], jsonb_build_object('k', i), (i * 1.5)::numeric::money, '<a>1</a>', i % 2 = 0 FROM generate_series(1, 200) i;
"""


def settings_of_a_role_change_nothing(there):
    is_new = int(there.sql("SHOW server_version_num")[0][0]) >= 170000
    settings = SETTINGS + ([("transaction_timeout", "50", "0")] if is_new else [])
    checks = "".join("  - {at: after, sql: \"SELECT pg_catalog.lower(pg_catalog.current_setting('%s'))\", expect: %s}\n" % (name.strip('"'), json.dumps(ours.lower())) for name, _, ours in settings)
    world = World(there)
    ids = world.people(300)
    before = world.objects()
    world.sql(HOSTILE)
    world.sql("CREATE ROLE odd_one SUPERUSER LOGIN PASSWORD '%s'" % SECRET)
    for name, theirs, _ in settings:
        world.sql("ALTER ROLE odd_one SET %s = %s" % (name, theirs))
    world.sql("ALTER ROLE odd_one SET search_path = hostile, pg_catalog, public")
    world.plan.write_text(world.plan.read_text() + "checks:\n" + checks)
    url = there.as_role("odd_one", SECRET)
    with Writers(world, ids, pause=0.01) as application:
        for verb in ("analyze", "run --yes", "rollback --yes"):
            expect(0, [], world.plan, verb, DATABASE_URL=url)
    assert not application.errors, application.errors[:3]
    application.are_all_there()
    world.nothing_is_left()
    assert not differences(before, world.objects()), differences(before, world.objects())
    there.empty_databases("one", "other")
    there.sql(THINGS, "one")
    move = world.folder / "move.yaml"
    one, other = (url.replace("/postgres", "/" + name) for name in ("one", "other"))
    move.write_text("whimbrel: 1\nmigration: move\nstores: {a: \"${A}\", b: \"${B}\"}\ntables: [{from: a/public.things, to: b/public.things, create: like-source}]\nsync: capture\n")
    rows = "SELECT things::text FROM things ORDER BY id"
    expect(0, [], move, "run --yes --until follow", A=one, B=other)
    there.sql("UPDATE things SET iv = iv * 2, e = NULL, tags = tags || ARRAY[NULL, 'x'] WHERE id % 3 = 0", "one")
    expect(0, [], move, "run --yes", A=one, B=other)
    assert there.sql(rows, "one") == there.sql(rows, "other")
    there.sql("UPDATE things SET r = r * 2, e = NULL, b = b || b WHERE id % 2 = 0", "other")
    wanted = there.sql(rows, "other")
    expect(0, [], move, "rollback --yes", A=one, B=other)
    assert there.sql(rows, "one") == wanted
    there.sql("DROP ROLE odd_one")
    world.close()


TESTS = [tls_is_had_or_refused, passwords_come_from_where_libpq_looks, a_url_that_cannot_be_read_tells_nothing_of_its_password, a_password_in_a_plan_goes_nowhere_else,
         a_pooler_of_sessions_carries_what_the_server_does, a_pooler_of_transactions_is_refused_before_it_notices, too_few_sessions_are_told, who_lets_nobody_write_is_no_side,
         settings_of_a_role_change_nothing]


def main():
    with place() as there:
        run_each(TESTS, lambda test: test(there))


if __name__ == "__main__":
    main()
