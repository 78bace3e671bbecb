"""The example single-table-design on DynamoDB Local and moto, as a user would type it.

What has to be there is computed here, from the old tables alone. Runs under tools/servers/python, with WHIMBREL
naming the binary.
"""
import datetime
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import dynamodb_local, moto  # noqa: E402
from trying import run_each  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
PREFIX = "candlefish-employee-setup-lean-staging"
GATEWAY = "tyler-setup-graphql-gateway"
HANDLERS = ["tyler-setup-users-handler", "tyler-setup-contractors-handler", "tyler-setup-secrets-handler"]
SIZES = {"users": 150, "contractors": 25, "refresh-tokens": 180, "audit": 1250, "config": 12}
KEYS = {"users": ("id",), "contractors": ("id",), "refresh-tokens": ("token",), "audit": ("id",), "config": ("section", "key")}
NEW = ("entities", "events", "cache")


def S(value):
    return {"S": str(value)}


def plain(value):
    if isinstance(value, dict):
        return {name: sorted(map(str, field)) if name in ("SS", "NS", "BS") else plain(field) for name, field in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


class Service(http.server.BaseHTTPRequestHandler):
    """What the guide's address answers: whether it is held, and whether it is well."""

    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        held = World.now.variables(GATEWAY).get("MAINTENANCE_MODE") == "true"
        self.answer({"status": "maintenance" if held else "up", "message": "System under maintenance"})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        well = World.now.is_well and World.now.variables(GATEWAY).get("USE_NEW_SCHEMA") == "true"
        self.answer({"data": {"healthCheck": {"status": "healthy" if well else "sick"}}})

    def log_message(self, *_):
        pass


class World:
    now, is_well = None, True

    def __init__(self, tables, functions):
        self.functions = functions
        self.ddb = tables.client("dynamodb")
        self.random = random.Random(5)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-single-table-"))
        shutil.copytree(ROOT / "examples" / "single-table-design", self.folder, dirs_exist_ok=True)
        World.now = self
        self.service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=self.service.serve_forever, daemon=True).start()
        plan = self.folder / "migration.yaml"
        plan.write_text(plan.read_text().replace("https://api.tyler-setup.candlefish.ai", "http://127.0.0.1:%d" % self.service.server_port)
                        .replace("p95: 200ms, p95_change: 0%", "p95: 1h")  # what a busy machine makes of it is told elsewhere
                        .replace('[npm, run, "test:e2e", "--", "--config=migration-validation.config.js"]', "[test, -d, .]"))
        self.environment = {**os.environ, **tables.environment, "SECRETS_PREFIX": PREFIX, "AWS_ENDPOINT_URL_LAMBDA": functions.url,
                            "AWS_ENDPOINT_URL_CLOUDWATCH": functions.url}
        for name in self.ddb.list_tables()["TableNames"]:
            self.ddb.delete_table(TableName=name)
        for name, key in KEYS.items():
            more = {}
            attributes = [{"AttributeName": part, "AttributeType": "S"} for part in key]
            if name == "users":
                attributes.append({"AttributeName": "email", "AttributeType": "S"})
                more = {"GlobalSecondaryIndexes": [{"IndexName": "email-index", "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}],
                                                    "Projection": {"ProjectionType": "ALL"}}]}
            self.ddb.create_table(TableName=self.name(name), AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST",
                                  KeySchema=[{"AttributeName": part, "KeyType": ("HASH", "RANGE")[at]} for at, part in enumerate(key)], **more)
            items = [getattr(self, name.replace("-", "_"))(i) for i in range(SIZES[name])]
            for begin in range(0, len(items), 25):
                self.ddb.batch_write_item(RequestItems={self.name(name): [{"PutRequest": {"Item": item}} for item in items[begin:begin + 25]]})
        client, role = functions.client("lambda"), None
        for function in [GATEWAY, *HANDLERS]:
            try:
                client.delete_function(FunctionName=function)
            except client.exceptions.ResourceNotFoundException:
                pass
            role = role or functions.client("iam").create_role(RoleName="role-%d" % time.time_ns(), AssumeRolePolicyDocument="{}")["Role"]["Arn"]
            client.create_function(FunctionName=function, Runtime="nodejs20.x", Role=role, Handler="a.b", Code={"ZipFile": b"PK\x05\x06" + b"\x00" * 18},
                                   Environment={"Variables": {"KEPT": "as it is"}})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.service.shutdown()
        self.service.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def name(self, table):
        return "%s-%s" % (PREFIX, table)

    def users(self, i):
        role = {"role": S(self.random.choice(["admin", "dev", "ops"]))} if i % 3 else {}
        return {"id": S("u%d" % i), "email": S("User%d@Example.org" % i), "name": S("User %d é漢" % i), "n": {"N": "%d.25" % i}, **role,
                "prefs": {"M": {"a": {"L": [{"NULL": True}, {"S": ""}]}}}}

    def contractors(self, i):
        sponsor = {"sponsorId": S("u%d" % (i * 7))} if i % 5 else {}
        return {"id": S("c%d" % i), "email": S("Con%d@x.org" % i), "tags": {"SS": ["b", "a"]}, **sponsor}

    def refresh_tokens(self, i):
        return {"token": S("t%d" % i), "userId": S("u%d" % (i % 150)), "expiresAt": S("2099-12-01T00:%02d:%02d.%03dZ" % (i // 60, i % 60, i))}

    def audit(self, i):
        return {"id": S("a%d" % i), "userId": S("u%d" % (i % 31)), "timestamp": S("2026-11-%02dT00:00:%02dZ" % (i % 28 + 1, i % 60)),
                "action": S(["login", "edit"][i % 2]), "detail": {"B": bytes([i % 256])}}

    def config(self, i):
        return {"section": S("s%d" % (i % 3)), "key": S("k%d" % i), "value": [S("v"), {"N": "5"}, {"M": {"q": S("")}}, {"NULL": True}][i % 4]}

    def scan(self, table, keys):
        items = {}
        for page in self.ddb.get_paginator("scan").paginate(TableName=self.name(table), ConsistentRead=True):
            for item in page["Items"]:
                items[tuple(item[part]["S"] for part in keys)] = plain(item)
        return items

    def old(self):
        return {name: self.scan(name, key) for name, key in KEYS.items()}

    def new(self):
        return {name: self.scan(name, ("PK", "SK")) for name in NEW}

    def run(self, *words, code=0, **environment):
        return self.call(words[0], "migration.yaml", *words[1:], code=code, **environment)

    def call(self, *words, code=0, **environment):
        done = subprocess.run([BINARY, *words], cwd=self.folder, env={**self.environment, **environment},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400)
        assert done.returncode == code, "%s gave %d instead of %d:\n%s%s" % (words, done.returncode, code, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def variables(self, function):
        return self.functions.client("lambda").get_function_configuration(FunctionName=function)["Environment"]["Variables"]


def expected(old):
    new = {name: {} for name in NEW}

    def put(table, item):
        item = {name: value for name, value in item.items() if value is not None}
        new[table][item["PK"]["S"], item["SK"]["S"]] = plain(item)
    for item in old["users"].values():
        id, email = item["id"]["S"], item.get("email")
        put("entities", {**item, "PK": S("USER#" + id), "SK": S("PROFILE"), "GSI1PK": email and S("EMAIL#" + email["S"].lower()), "GSI1SK": S("USER#" + id),
                         "entityType": S("USER")})
        if "role" in item:
            put("entities", {"PK": S("ROLE#" + item["role"]["S"]), "SK": S("USER#" + id), "name": item.get("name"), "entityType": S("ROLE_MEMBER")})
    for item in old["contractors"].values():
        id = item["id"]["S"]
        sponsor = old["users"].get((item.get("sponsorId", {}).get("S"),), {})
        put("entities", {**item, "PK": S("CONTRACTOR#" + id), "SK": S("PROFILE"), "GSI1PK": S("EMAIL#" + item["email"]["S"].lower()), "GSI1SK": S("CONTRACTOR#" + id),
                         "sponsorName": sponsor.get("name"), "entityType": S("CONTRACTOR")})
    sections = {}
    for item in old["config"].values():
        sections.setdefault(item["section"]["S"], {})[item["key"]["S"]] = item["value"]
    for section, settings in sections.items():
        put("entities", {"PK": S("CONFIG#" + section), "SK": S("SETTINGS"), "settings": {"M": settings}, "entityType": S("CONFIG")})
    for item in old["refresh-tokens"].values():
        moment = datetime.datetime.fromisoformat(item["expiresAt"]["S"].replace("Z", "+00:00"))
        put("cache", {**item, "PK": S("TOKEN#" + item["token"]["S"]), "SK": S("USER#" + item["userId"]["S"]), "ttl": {"N": str(int(moment.timestamp()))},
                      "entityType": S("REFRESH_TOKEN")})
    for item in old["audit"].values():
        put("events", {**item, "PK": S("USER#" + item["userId"]["S"]), "SK": S("EVENT#%s#%s" % (item["timestamp"]["S"], item["id"]["S"])),
                       "GSI1PK": S("ACTION#" + item["action"]["S"]), "GSI1SK": item["timestamp"], "timestamp": None,  # a bare name moves it
                       "entityType": S("AUDIT")})
    return new


def expect_equal(world):
    wanted, there = expected(world.old()), world.new()
    for name in NEW:
        missing, extra = [key for key in wanted[name] if key not in there[name]], [key for key in there[name] if key not in wanted[name]]
        differ = [(wanted[name][key], there[name][key]) for key in wanted[name] if key in there[name] and wanted[name][key] != there[name][key]]
        assert not missing and not extra and not differ, (name, missing[:3], extra[:3], differ[:2])


def change_old(world, number):
    ddb, r = world.ddb, world.random
    ddb.put_item(TableName=world.name("users"), Item={**world.users(r.randrange(170)), "name": S("Renamed %d" % number)})
    ddb.delete_item(TableName=world.name("users"), Key={"id": S("u%d" % r.randrange(150))})
    ddb.put_item(TableName=world.name("audit"), Item={**world.audit(r.randrange(1300)), "userId": S("u%d" % r.randrange(40))})
    ddb.delete_item(TableName=world.name("audit"), Key={"id": S("a%d" % r.randrange(1250))})
    ddb.put_item(TableName=world.name("config"), Item={"section": S("s%d" % r.randrange(6)), "key": S("n%d" % number), "value": S("w")})
    ddb.put_item(TableName=world.name("refresh-tokens"), Item=world.refresh_tokens(r.randrange(200)))


def the_guide_from_start_to_end(tables, functions):
    with World(tables, functions) as world:
        before = world.old()
        told = world.run("check")
        for line in ("users", "contractors", "config", "refresh-tokens", "audit"):
            assert "%s-%s → " % (PREFIX, line) in told, told
        world.run("run", "--until", "verify", DRY_RUN="true")
        assert len(world.ddb.list_tables()["TableNames"]) == 5, "a dry run made a table"
        world.run("run", "--yes", "--until", "verify")
        expect_equal(world)
        assert world.ddb.describe_time_to_live(TableName=world.name("cache"))["TimeToLiveDescription"]["AttributeName"] == "ttl"
        for round in range(3):
            change_old(world, round)
        measured = world.run("measure", "--side", "both", "--duration", "1", "--output", str(world.folder / "measured.json"))
        assert "user_by_email" in measured, measured
        world.run("verify", "--sample", "100")
        told = world.run("cutover", "--yes")
        assert "must switch by" in told and "let go: " + GATEWAY in told, told
        assert world.variables(GATEWAY) == {"KEPT": "as it is", "ENTITY_TABLE": world.name("entities"), "EVENT_TABLE": world.name("events"),
                                            "CACHE_TABLE": world.name("cache"), "USE_NEW_SCHEMA": "true"}, world.variables(GATEWAY)
        for handler in HANDLERS:
            assert world.variables(handler) == {"KEPT": "as it is", "ENTITY_TABLE": world.name("entities"), "USE_NEW_SCHEMA": "true"}
        expect_equal(world)
        assert "too early" in world.run("finish", "--yes", code=3)
        told = world.run("watch")
        assert "clean" in told, told
        alarms = functions.client("cloudwatch").describe_alarms(AlarmNames=["tyler-setup-post-migration-errors"])["MetricAlarms"]
        assert len(alarms) == 1 and alarms[0]["Threshold"] == 5 and alarms[0]["Period"] == 300, alarms
        # The new application writes; what the old tables can hold has to be there after the way back.
        entities = world.name("entities")
        world.ddb.put_item(TableName=entities, Item={"PK": S("USER#fresh"), "SK": S("PROFILE"), "id": S("fresh"), "email": S("F@x"), "name": S("F"), "entityType": S("USER")})
        world.ddb.update_item(TableName=entities, Key={"PK": S("CONFIG#s0"), "SK": S("SETTINGS")}, UpdateExpression="SET settings.added = :v",
                              ExpressionAttributeValues={":v": S("later")})
        world.ddb.delete_item(TableName=world.name("cache"), Key={"PK": S("TOKEN#t7"), "SK": S("USER#u7")})
        world.ddb.put_item(TableName=world.name("events"), Item={"PK": S("USER#u3"), "SK": S("EVENT#2026-12-24T00:00:00Z#late"), "userId": S("u3"), "id": S("late"),
                                                                 "action": S("login"), "GSI1PK": S("ACTION#login"),
                                                                 "GSI1SK": S("2026-12-24T00:00:00Z"), "entityType": S("AUDIT")})
        wanted = world.old()
        wanted["users"]["fresh",] = {"id": S("fresh"), "email": S("F@x"), "name": S("F")}
        wanted["config"]["s0", "added"] = {"section": S("s0"), "key": S("added"), "value": S("later")}
        wanted["refresh-tokens"].pop(("t7",))
        wanted["audit"]["late",] = {"id": S("late"), "userId": S("u3"), "timestamp": S("2026-12-24T00:00:00Z"), "action": S("login")}
        world.run("rollback", "--yes")
        assert world.old() == wanted, {name: [key for key in wanted[name] if world.old()[name].get(key) != wanted[name][key]] for name in wanted}
        assert len(world.ddb.list_tables()["TableNames"]) == 5
        for function in [GATEWAY, *HANDLERS]:
            assert world.variables(function) == {"KEPT": "as it is"}, world.variables(function)
        assert set(before) == set(wanted)


# `wait_23_hours` is what the reader does. Here the clock of whimbrel's own processes goes on, and no other.
SHELL = """set -euo pipefail
hours=0
wait_23_hours() { hours=$((hours + 23)); }
whimbrel() {
  if ((hours == 0)); then "$BINARY" "$@"; else DONT_FAKE_MONOTONIC=1 faketime -f "+${hours}h" "$BINARY" "$@"; fi
}
"""


def tells_its_story(tables, functions):
    """Every bash block of the README, in order, in one shell."""
    with World(tables, functions) as world:
        wanted = world.old()
        blocks = re.findall(r"^```bash\n(.*?)^```", (world.folder / "README.md").read_text(), re.M | re.S)
        script = SHELL + re.sub(r"--duration \d+", "--duration 0.5", "\n".join(blocks))
        done = subprocess.run(["bash", "-x", "-c", script], cwd=world.folder, env={**world.environment, "BINARY": BINARY}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, "exit %d\n%s\n%s" % (done.returncode, done.stdout[-3000:], done.stderr[-3000:])
        for name, size in SIZES.items():
            assert "\u2713 %s: %s records" % (name, format(size, ",")) in done.stdout, done.stdout[:2000]
        assert "100 of 100 the same" in done.stdout, done.stdout
        assert world.old() == wanted and expected(wanted) == world.new(), "the rows are not as they should be"
        assert world.variables(GATEWAY)["USE_NEW_SCHEMA"] == "true" and (world.folder / "report.html").stat().st_size > 10000
        assert list((world.folder / ".whimbrel").rglob("archive/AWSDynamoDB/*/data/items.json.gz")), "nothing was archived"


def killed_in_maintenance_mode_it_ends_by_itself(tables, functions):
    with World(tables, functions) as world:
        plan = world.folder / "migration.yaml"
        plan.write_text(plan.read_text().replace("checks:\n", 'checks:\n  - {at: held, command: [sh, -c, "touch held; sleep 30"]}\n'))
        world.run("run", "--yes", "--until", "verify")
        process = subprocess.Popen([BINARY, "cutover", "migration.yaml", "--yes"], cwd=world.folder, env=world.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (world.folder / "held").exists():
            assert time.monotonic() < deadline and process.poll() is None, "nobody was held"
            time.sleep(0.05)
        assert world.variables(GATEWAY)["MAINTENANCE_MODE"] == "true" and world.variables(HANDLERS[0])["READ_ONLY_MODE"] == "true"
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 30
        while any(world.variables(function) != {"KEPT": "as it is"} for function in [GATEWAY, *HANDLERS]):
            assert time.monotonic() < deadline, "the application stays in maintenance mode"
            time.sleep(0.2)
        world.run("rollback", "--yes")
        assert len(world.ddb.list_tables()["TableNames"]) == 5


def a_check_that_fails_after_the_switch_switches_back(tables, functions):
    with World(tables, functions) as world:
        before = world.old()
        world.is_well = False
        world.run("run", "--yes", "--until", "verify")
        told = world.run("cutover", "--yes", code=1)
        assert "healthCheck" in told or "healthy" in told, told
        assert world.old() == before and len(world.ddb.list_tables()["TableNames"]) == 5
        for function in [GATEWAY, *HANDLERS]:
            assert world.variables(function) == {"KEPT": "as it is"}, world.variables(function)


def finished_and_brought_back(tables, functions):
    """The old tables are archived and dropped; they come back with what the new side has written since."""
    with World(tables, functions) as world:
        world.environment["PRESERVE_OLD_TABLES"] = "false"
        wanted = world.old()
        world.run("run", "--yes", "--until", "verify")
        world.run("cutover", "--yes")
        assert "7 more checks" in world.run("finish", "--yes", code=3)
        world.run("finish", "--after", "0s", "--force", "--yes")
        assert sorted(world.ddb.list_tables()["TableNames"]) == sorted(world.name(name) for name in NEW)
        assert list((world.folder / ".whimbrel").rglob("archive/AWSDynamoDB/*/data/items.json.gz")), "nothing was archived"
        world.ddb.put_item(TableName=world.name("entities"), Item={"PK": S("USER#fresh"), "SK": S("PROFILE"), "id": S("fresh"), "email": S("F@x"), "name": S("F"),
                                                                   "entityType": S("USER")})
        wanted["users"]["fresh",] = {"id": S("fresh"), "email": S("F@x"), "name": S("F")}
        world.run("rollback", "--yes")
        assert world.old() == wanted and len(world.ddb.list_tables()["TableNames"]) == 5
        for function in [GATEWAY, *HANDLERS]:
            assert world.variables(function) == {"KEPT": "as it is"}, world.variables(function)


def restored(world, *words, code=0):
    return world.call("restore", words[0], "dynamodb:", "--yes", *words[1:], code=code)


def native_backups_where_there_are_some(tables, functions):
    """On moto, which has the calls that DynamoDB Local lacks."""
    with World(functions, functions) as world:
        told = json.loads(world.run("run", "--yes", "--until", "backup", "--json").splitlines()[-1])
        assert told["result"] == "done", told
        backups = world.ddb.list_backups()["BackupSummaries"]
        assert sorted(one["TableName"] for one in backups) == sorted(world.name(name) for name in KEYS), backups
        assert all(one["BackupName"].startswith("migration-backup-" + PREFIX) for one in backups), backups
        for name in KEYS:
            about = world.ddb.describe_continuous_backups(TableName=world.name(name))["ContinuousBackupsDescription"]
            assert about["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED", about
        assert not list(world.folder.rglob("*.rows.zst")) and not list(world.folder.rglob("items.json.gz")), "a second backup was taken"
        users = world.name("users")
        name = next(one["BackupName"] for one in backups if one["TableName"] == users)
        world.ddb.put_item(TableName=users, Item={"id": {"S": "since then"}})
        told = restored(world, "native:" + name)
        assert users + "-restored: 150 rows" in told, told
        diff = world.call("diff", "dynamodb:/" + users, "dynamodb:/%s-restored" % users, code=1)
        assert "since then" in diff, diff
        told = restored(world, "native:" + name, code=3)
        assert "there is a table %s-restored already" % users in told and "--as" in told, told
        told = restored(world, "native:" + users, "--to-time", "latest", "--as", "another")
        assert "another: 151 rows" in told, told
        told = restored(world, "native:" + users, "--to-time", "2001-01-01T00:00:00Z", code=3)
        assert "is not among the moments" in told, told
        told = restored(world, "native:" + name[:-1], code=3)
        assert "Did you mean" in told or "did you mean" in told, told
        heal(world, users, users + "-restored")


HEAL = """whimbrel: 1
migration: %s
stores: {aws: "dynamodb:"}
tables: [{from: aws/%s, to: aws/%s, create: exists, %son_conflict: overwrite}]
sync: none
"""


def heal(world, damaged, good):
    """What was found later is put right where it stands; what was written since stays."""
    def items(table):
        return {item["id"]["S"]: item for page in world.ddb.get_paginator("scan").paginate(TableName=table) for item in page["Items"]}

    wanted = items(good)
    spoilt = sorted(wanted)[:20]
    for id in spoilt[:15]:
        world.ddb.update_item(TableName=damaged, Key={"id": {"S": id}}, UpdateExpression="SET #n = :n", ExpressionAttributeNames={"#n": "name"},
                              ExpressionAttributeValues={":n": {"S": "undefined"}})
    for id in spoilt[15:]:
        world.ddb.delete_item(TableName=damaged, Key={"id": {"S": id}})
    since = {"id": {"S": "since then"}, "changed": {"S": "2026-11-20"}}
    changed = dict(wanted[sorted(wanted)[30]], changed={"S": "2026-11-21"}, name={"S": "of since"})
    for item in (since, changed):
        world.ddb.put_item(TableName=damaged, Item=item)
        wanted[item["id"]["S"]] = item
    before = items(damaged)
    (world.folder / "keep.yaml").write_text(HEAL % ("keep", damaged, good, 'where: {changed: {at_least: "2026-11-15"}}, '))
    (world.folder / "heal.yaml").write_text(HEAL % ("heal", good, damaged, ""))
    world.call("run", "keep.yaml", "--yes")
    world.call("run", "heal.yaml", "--yes")
    assert items(damaged) == wanted, [one for one in items(damaged).items() if wanted.get(one[0]) != one[1]]
    assert "0 differ" in world.call("diff", "dynamodb:/" + damaged, "dynamodb:/" + good)
    world.call("rollback", "heal.yaml", "--yes")
    assert items(damaged) == before, [one for one in items(damaged).items() if before.get(one[0]) != one[1]]


FOLD = """
whimbrel: 1
migration: fold
stores: {db: "sqlite:app.db", aws: "dynamodb:"}
tables:
  - as: people
    from: db/people
    to: aws/things
    create: things.json
    items:
      - columns: {pk: "PERSON#{id}", sk: {const: PROFILE}, kind: {const: person}}
        same: [id, mail, name, role]
      - when: {present: role}
        columns: {pk: "ROLE#{role}", sk: "PERSON#{id}", name: name, kind: {const: member}}
        rest: drop
  - as: visits
    from: db/visits
    to: aws/things
    columns: {pk: "PERSON#{person}", sk: "VISIT#{day}#{id}", name: {lookup: name, in: people, by: person}, kind: {const: visit}}
    same: [page]
  - as: settings
    from: db/settings
    to: aws/things
    group: [section]
    columns: {pk: "SETTINGS#{section}", sk: {const: ALL}, doc: {collect: value, by: key}, kind: {const: settings}}
sync: capture
cutover:
  max_hold: 30s
  hold: [{env_file: app.env, set: {READ_ONLY: "1"}}]
  switches: [{command: [touch, new-side], undo: [rm, -f, new-side], state: [test, -e, new-side]}]
"""
UNFOLD = """
whimbrel: 1
migration: unfold
stores: {db: "sqlite:again.db", aws: "dynamodb:"}
tables:
  - as: people
    from: aws/things
    to: db/people
    create: people.sql
    where: {pk: {begins_with: "PERSON#"}, sk: PROFILE}
    columns: {id: {cast: {between: pk, prefix: "PERSON#"}, to: integer}, mail: mail, name: name, role: role}
    rest: drop
  - as: visits
    from: aws/things
    to: db/visits
    create: visits.sql
    where: {sk: {begins_with: "VISIT#"}}
    columns: {id: {cast: {split: sk, by: "#", part: 3}, to: integer}, person: {cast: {between: pk, prefix: "PERSON#"}, to: integer}, day: {split: sk, by: "#", part: 2}, page: page}
    rest: drop
sync: none
"""
PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT, name TEXT, role TEXT);"
VISITS = "CREATE TABLE visits (id INTEGER PRIMARY KEY, person INTEGER, day TEXT, page TEXT);"


def relational_tables_fold_into_one_and_unfold_again(tables, functions):
    """SQLite to DynamoDB while it is written to, a switch, a way back; and out of one table into two."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-fold-"))
    ddb, environment = tables.client("dynamodb"), {**os.environ, **tables.environment}
    for name in ddb.list_tables()["TableNames"]:
        ddb.delete_table(TableName=name)

    def run(plan, *words):
        done = subprocess.run([BINARY, words[0], plan, *words[1:]], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, "%s gave %d:\n%s%s" % (words, done.returncode, done.stdout, done.stderr)
        return done.stdout
    keys = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    files = {"fold.yaml": FOLD, "unfold.yaml": UNFOLD, "people.sql": PEOPLE, "visits.sql": VISITS, "app.env": "READ_ONLY=0\n", "again.db": "",
             "things.json": json.dumps({"AttributeDefinitions": keys, "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]})}
    for name, content in files.items():
        (folder / name).write_text(content)
    db = sqlite3.connect(folder / "app.db", isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL;" + PEOPLE + VISITS + "CREATE TABLE settings (section TEXT, key TEXT, value TEXT, PRIMARY KEY (section, key));")
    for i in range(1, 121):
        db.execute("INSERT INTO people VALUES (?, ?, ?, ?)", (i, "p%d" % i, "Name %d" % i, [None, "dev", "ops"][i % 3]))
        db.execute("INSERT INTO visits VALUES (?, ?, ?, ?)", (i, i % 9, "2026-01-%02d" % (i % 28 + 1), "page %d" % i))
        db.execute("INSERT INTO settings VALUES (?, ?, ?)", ("s%d" % (i % 4), "k%d" % i, None if i % 5 == 0 else "v"))
    run("fold.yaml", "run", "--yes", "--until", "follow")
    db.executescript("UPDATE people SET name = 'X', role = 'zz' WHERE id % 7 = 0; DELETE FROM people WHERE id % 11 = 0; UPDATE visits SET person = 77 WHERE id % 5 = 0;"
                     "DELETE FROM visits WHERE id % 6 = 0; UPDATE settings SET section = 's9' WHERE key = 'k3'; DELETE FROM settings WHERE section = 's2'")
    run("fold.yaml", "run", "--yes")
    ddb.update_item(TableName="things", Key={"pk": S("PERSON#1"), "sk": S("PROFILE")}, UpdateExpression="SET #n = :v", ExpressionAttributeNames={"#n": "name"},
                    ExpressionAttributeValues={":v": S("back")})
    ddb.put_item(TableName="things", Item={"pk": S("PERSON#9999"), "sk": S("PROFILE"), "id": {"N": "9999"}, "mail": S("m"), "kind": S("person")})
    ddb.update_item(TableName="things", Key={"pk": S("SETTINGS#s1"), "sk": S("ALL")}, UpdateExpression="SET doc.z = :v", ExpressionAttributeValues={":v": S("1")})
    run("fold.yaml", "run", "--yes")
    run("unfold.yaml", "run", "--yes")
    again = sqlite3.connect(folder / "again.db")
    for table in ("people", "visits"):
        assert db.execute("SELECT * FROM %s ORDER BY id" % table).fetchall() == again.execute("SELECT * FROM %s ORDER BY id" % table).fetchall(), table
    again.close()
    run("unfold.yaml", "rollback", "--yes")
    run("fold.yaml", "rollback", "--yes")
    assert db.execute("SELECT name FROM people WHERE id IN (1, 9999) ORDER BY id").fetchall() == [("back",), (None,)]
    assert db.execute("SELECT section, value FROM settings WHERE key = 'z'").fetchall() == [("s1", "1")]
    assert ddb.list_tables()["TableNames"] == [] and (folder / "app.env").read_text() == "READ_ONLY=0\n"
    db.close()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with dynamodb_local() as of_tables, moto() as of_functions:
        run_each((the_guide_from_start_to_end, tells_its_story, killed_in_maintenance_mode_it_ends_by_itself,
                  a_check_that_fails_after_the_switch_switches_back, finished_and_brought_back,
                  native_backups_where_there_are_some, relational_tables_fold_into_one_and_unfold_again),
                 lambda test: test(of_tables, of_functions))
