"""The five old tables at a size, and what the new ones have to hold.

Rows are those that the guide of the example names: so many users, contractors, tokens, entries of
the audit log and settings, times a factor. A row is computed from its number.
"""
import datetime

SIZES = {"users": 150, "contractors": 25, "refresh-tokens": 180, "audit": 1250, "config": 12}
KEYS = {"users": ("id",), "contractors": ("id",), "refresh-tokens": ("token",), "audit": ("id",),
        "config": ("section", "key")}
NEW = ("entities", "events", "cache")
ROLES = ("admin", "dev", "ops")
ACTIONS = ("login", "edit", "delete")


def rows_in(factor):
    return factor * sum(SIZES.values())


def rows_of(table, factor):
    """Rows as maps, without what is null."""
    make = MAKERS[table]
    for number in range(factor * SIZES[table]):
        yield {name: value for name, value in make(number, factor).items() if value is not None}


def user(number, factor):
    return {"id": f"u{number}", "email": f"User{number}@Example.org", "name": f"User {number} é漢",
            "role": ROLES[number * 7 % 5 % 3] if number % 3 else None,
            "createdAt": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}T08:00:00Z"}


def contractor(number, factor):
    sponsor = number * 7 % (factor * SIZES["users"])
    return {"id": f"c{number}", "email": f"Con{number}@x.org", "company": f"Company {number}",
            "sponsorId": f"u{sponsor}" if number % 5 else None}


def clock(number):
    return f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"


def token(number, factor):
    return {"token": f"t{number}", "userId": f"u{number % (factor * SIZES['users'])}",
            "expiresAt": f"2026-12-01T{clock(number)}.{number % 1000:03}Z"}


def event(number, factor):
    return {"id": f"a{number}", "userId": f"u{number % (31 * factor)}",
            "timestamp": f"2026-11-{number % 28 + 1:02}T{clock(number)}Z",
            "action": ACTIONS[number % 3], "detail": f"from 10.0.{number // 256 % 256}.{number % 256}"}


def setting(number, factor):
    return {"section": f"s{number // 4}", "key": f"k{number % 4}", "value": f"v{number}"}


MAKERS = {"users": user, "contractors": contractor, "refresh-tokens": token, "audit": event,
          "config": setting}


# --- the new side ---------------------------------------------------------------------------------


def expected(old):
    """The new tables by their keys, from the old ones as lists of maps."""
    new = {table: {} for table in NEW}

    def put(table, **row):
        new[table][row["PK"], row["SK"]] = {name: value for name, value in row.items()
                                            if value is not None}
    for row in old["users"]:
        put("entities", **row, PK=f"USER#{row['id']}", SK="PROFILE", entityType="USER",
            GSI1PK=f"EMAIL#{row['email'].lower()}", GSI1SK=f"USER#{row['id']}")
        if "role" in row:
            put("entities", PK=f"ROLE#{row['role']}", SK=f"USER#{row['id']}", name=row["name"],
                entityType="ROLE_MEMBER")
    names = {row["id"]: row["name"] for row in old["users"]}
    for row in old["contractors"]:
        put("entities", **row, PK=f"CONTRACTOR#{row['id']}", SK="PROFILE", entityType="CONTRACTOR",
            GSI1PK=f"EMAIL#{row['email'].lower()}", GSI1SK=f"CONTRACTOR#{row['id']}",
            sponsorName=names.get(row.get("sponsorId")))
    sections = {}
    for row in old["config"]:
        sections.setdefault(row["section"], {})[row["key"]] = row["value"]
    for section, settings in sections.items():
        put("entities", PK=f"CONFIG#{section}", SK="SETTINGS", settings=settings,
            entityType="CONFIG")
    for row in old["refresh-tokens"]:
        moment = datetime.datetime.fromisoformat(row["expiresAt"].replace("Z", "+00:00"))
        put("cache", **row, PK=f"TOKEN#{row['token']}", SK=f"USER#{row['userId']}",
            ttl=int(moment.timestamp()), entityType="REFRESH_TOKEN")
    for row in old["audit"]:
        moment = row.pop("timestamp")  # a bare name of the plan moves its column
        put("events", **row, PK=f"USER#{row['userId']}",
            SK=f"EVENT#{moment}#{row['id']}", GSI1PK=f"ACTION#{row['action']}",
            GSI1SK=moment, entityType="AUDIT")
    return new


def wrong_in(old, new):
    """Rows that the new tables lack, have too much or have otherwise, as sentences."""
    found = []
    for table, wanted in expected(old).items():
        there = {(row["PK"], row["SK"]): row for row in new[table]}
        wrong = [key for key in wanted.keys() | there.keys() if wanted.get(key) != there.get(key)]
        if wrong:
            found.append(f"{len(wrong)} items of {table} are not as expected, one is {wrong[0]}: "
                         f"{there.get(wrong[0])}, not {wanted.get(wrong[0])}")
    return found
