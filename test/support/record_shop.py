"""A record shop in fourteen tables, and the same shop in one table.

The tables have what such schemas have: keys of two and three columns, many to many, a table that refers to itself,
money, dates, pictures, nulls, names that want quotes. `folded` says what the one table has to hold, apart from whimbrel;
a `Shop` is what the application knows, and writes its changes in either shape.
"""
import datetime
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time

# ---------------------------------------------------------------- fourteen tables

SCHEMA = {
    "performers": """CREATE TABLE performers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "größe" INTEGER, notes TEXT)""",
    "records": """CREATE TABLE records (id INTEGER PRIMARY KEY, performer INTEGER NOT NULL REFERENCES performers (id),
  title TEXT NOT NULL, released DATE, cover BLOB)""",
    "styles": """CREATE TABLE styles (code TEXT NOT NULL PRIMARY KEY, label TEXT) WITHOUT ROWID""",
    "songs": """CREATE TABLE songs (id INTEGER PRIMARY KEY, record INTEGER REFERENCES records (id),
  style TEXT REFERENCES styles (code), title TEXT NOT NULL, seconds INTEGER, loudness REAL,
  price DECIMAL(10,2) NOT NULL DEFAULT 0.99, clip BLOB)""",
    "credits": """CREATE TABLE credits (song INTEGER NOT NULL REFERENCES songs (id),
  performer INTEGER NOT NULL REFERENCES performers (id), part TEXT, PRIMARY KEY (song, performer))""",
    "lists": """CREATE TABLE lists (id TEXT NOT NULL PRIMARY KEY, title TEXT, public BOOLEAN NOT NULL)""",
    "list entry": """CREATE TABLE "list entry" (list TEXT NOT NULL REFERENCES lists (id), position INTEGER NOT NULL,
  song INTEGER NOT NULL REFERENCES songs (id), PRIMARY KEY (list, position)) WITHOUT ROWID""",
    "staff": """CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT NOT NULL, boss INTEGER REFERENCES staff (id), hired DATE)""",
    "customers": """CREATE TABLE customers (id INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE, name TEXT,
  helper INTEGER REFERENCES staff (id), credit DECIMAL(12,2), club TEXT)""",
    "order": """CREATE TABLE "order" (no INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers (id),
  placed TEXT NOT NULL, "ship to" TEXT, "it's a gift" BOOLEAN)""",
    "order_lines": """CREATE TABLE order_lines ("order" INTEGER NOT NULL REFERENCES "order" (no), line INTEGER NOT NULL,
  song INTEGER NOT NULL REFERENCES songs (id), quantity INTEGER NOT NULL CHECK (quantity > 0), price DECIMAL(10,2) NOT NULL,
  total DECIMAL(12,2) GENERATED ALWAYS AS (quantity * price), PRIMARY KEY ("order", line))""",
    "reviews": """CREATE TABLE reviews (customer INTEGER NOT NULL REFERENCES customers (id),
  record INTEGER NOT NULL REFERENCES records (id), stars INTEGER CHECK (stars BETWEEN 1 AND 5), words TEXT,
  PRIMARY KEY (customer, record))""",
    "stock": """CREATE TABLE stock (branch TEXT NOT NULL, record INTEGER NOT NULL REFERENCES records (id), day DATE NOT NULL,
  pieces INTEGER NOT NULL, PRIMARY KEY (branch, record, day))""",
    "settings": """CREATE TABLE settings (section TEXT NOT NULL, key TEXT NOT NULL, value TEXT, PRIMARY KEY (section, key))""",
}
KEYS = {"performers": ("id",), "records": ("id",), "styles": ("code",), "songs": ("id",), "credits": ("song", "performer"),
        "lists": ("id",), "list entry": ("list", "position"), "staff": ("id",), "customers": ("id",), "order": ("no",),
        "order_lines": ("order", "line"), "reviews": ("customer", "record"), "stock": ("branch", "record", "day"),
        "settings": ("section", "key")}
COMPUTED = {"order_lines": ("total",)}  # columns that nobody writes

# ---------------------------------------------------------------- one table

ONE_TABLE = """
CREATE TABLE shop (pk TEXT NOT NULL, sk TEXT NOT NULL, kind TEXT NOT NULL, gsi1pk TEXT, gsi1sk TEXT, expires INTEGER,
  name TEXT, "größe" INTEGER, notes TEXT, title TEXT, released DATE, cover BLOB, label TEXT, record INTEGER, style TEXT,
  seconds INTEGER, loudness REAL, price DECIMAL(10,2), clip BLOB, part TEXT, public BOOLEAN, song INTEGER, boss INTEGER,
  hired DATE, mail TEXT, helper INTEGER, credit DECIMAL(12,2), club TEXT, "ship to" TEXT, "it's a gift" BOOLEAN,
  quantity INTEGER, stars INTEGER, words TEXT, pieces INTEGER, doc JSON, performer_name TEXT, record_title TEXT,
  song_title TEXT, boss_name TEXT, helper_name TEXT, customer_name TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID;
CREATE INDEX gsi1 ON shop (gsi1pk, gsi1sk);
"""
# The same for `aws dynamodb create-table`: a store whose items have any attributes.
ONE_TABLE_OF_ITEMS = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsi1pk", "gsi1sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [{
        "IndexName": "gsi1", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "gsi1pk", "KeyType": "HASH"}, {"AttributeName": "gsi1sk", "KeyType": "RANGE"}]}],
    "BillingMode": "PAY_PER_REQUEST",
}

# OLD_STORE and NEW_STORE are URLs, SHOP_FILE makes the one table, CUTOVER is the test's own.
FOLD = """
whimbrel: 1
migration: fold
stores: {old: "OLD_STORE", new: "NEW_STORE"}
tables:
  - as: performers
    from: old/performers
    to: new/shop
    create: SHOP_FILE
    columns: {pk: "PERFORMER#{id}", sk: {const: PROFILE}, kind: {const: performer}}
    same: [name, größe, notes]
  - as: records
    from: old/records
    to: new/shop
    columns:
      pk: "PERFORMER#{performer}"
      sk: "RECORD#{id}"
      kind: {const: record}
      gsi1pk: "RECORD#{id}"
      gsi1sk: {const: RECORD}
      performer_name: {lookup: name, in: performers, by: performer}
    same: [title, released, cover]
  - as: styles
    from: old/styles
    to: new/shop
    columns: {pk: {const: STYLES}, sk: "STYLE#{code}", kind: {const: style}}
    same: [label]
  - as: songs
    from: old/songs
    to: new/shop
    items:
      - columns:
          pk: "SONG#{id}"
          sk: {const: PROFILE}
          kind: {const: song}
          gsi1pk: "RECORD#{record}"
          gsi1sk: "SONG#{id}"
          record_title: {lookup: title, in: records, by: record}
        same: [record, style, title, seconds, loudness, price, clip]
      - when: {present: style}
        columns: {pk: "STYLE#{style}", sk: "SONG#{id}", kind: {const: song of a style}, title: title}
        rest: drop
  - as: credits
    from: old/credits
    to: new/shop
    items:
      - columns:
          pk: "SONG#{song}"
          sk: "PERFORMER#{performer}"
          kind: {const: credit}
          performer_name: {lookup: name, in: performers, by: performer}
        same: [part]
      - columns:
          pk: "PERFORMER#{performer}"
          sk: "SONG#{song}"
          kind: {const: song of a performer}
          song_title: {lookup: title, in: songs, by: song}
        same: [part]
  - as: lists
    from: old/lists
    to: new/shop
    columns: {pk: "LIST#{id}", sk: {const: PROFILE}, kind: {const: list}}
    same: [title, public]
  - as: entries
    from: 'old/"list entry"'
    to: new/shop
    columns:
      pk: "LIST#{list}"
      sk: "ENTRY#{position}"
      kind: {const: entry}
      gsi1pk: "SONG#{song}"
      gsi1sk: "LIST#{list}#{position}"
      song_title: {lookup: title, in: songs, by: song}
    same: [song]
  - as: staff
    from: old/staff
    to: new/shop
    columns:
      pk: {const: STAFF}
      sk: "STAFF#{id}"
      kind: {const: staff}
      gsi1pk: "BOSS#{boss}"
      gsi1sk: "STAFF#{id}"
      boss_name: {lookup: name, in: staff, by: boss}
    same: [name, boss, hired]
  - as: customers
    from: old/customers
    to: new/shop
    items:
      - columns:
          pk: "CUSTOMER#{id}"
          sk: {const: PROFILE}
          kind: {const: customer}
          gsi1pk: "MAIL#{mail|lower}"
          gsi1sk: "CUSTOMER#{id}"
          helper_name: {lookup: name, in: staff, by: helper, if_null: {const: nobody}}
        same: [mail, name, helper, credit, club]
      - when: {club: [gold, silver]}
        columns: {pk: "CLUB#{club}", sk: "CUSTOMER#{id}", kind: {const: member}, name: name}
        rest: drop
  - as: orders
    from: 'old/order'
    to: new/shop
    columns:
      pk: "CUSTOMER#{customer}"
      sk: "ORDER#{placed}#{no}"
      kind: {const: order}
      gsi1pk: "ORDER#{no}"
      gsi1sk: {const: ORDER}
      expires: {time: placed, from: iso8601, as: epoch_s, round: down}
      customer_name: {lookup: name, in: customers, by: customer}
    same: [ship to, it's a gift]
  - as: lines
    from: old/order_lines
    to: new/shop
    columns:
      pk: "ORDER#{order}"
      sk: "LINE#{line}"
      kind: {const: line}
      gsi1pk: "SONG#{song}"
      gsi1sk: "ORDER#{order}#{line}"
      song_title: {lookup: title, in: songs, by: song}
    same: [song, quantity, price]
  - as: reviews
    from: old/reviews
    to: new/shop
    columns: {pk: "RECORD#{record}", sk: "REVIEW#{customer}", kind: {const: review}, gsi1pk: "CUSTOMER#{customer}", gsi1sk: "REVIEW#{record}"}
    same: [stars, words]
  - as: stock
    from: old/stock
    to: new/shop
    columns: {pk: "BRANCH#{branch}", sk: "DAY#{day}#{record}", kind: {const: stock}}
    same: [pieces]
  - as: settings
    from: old/settings
    to: new/shop
    group: [section]
    columns: {pk: "SETTINGS#{section}", sk: {const: ALL}, kind: {const: settings}, doc: {collect: value, by: key}}
sync: capture
"""

# The way out again, as a migration of its own. A document has names that no plan can list, so `settings` is not here;
# the rollback brings it back.
UNFOLD = """
whimbrel: 1
migration: unfold
stores: {one: "NEW_STORE", again: "sqlite:again.db"}
tables:
  - as: performers
    from: one/shop
    to: again/performers
    create: performers.sql
    where: {kind: performer}
    columns: {id: {cast: {between: pk, prefix: "PERFORMER#"}, to: integer}}
    same: [name, größe, notes]
    rest: drop
  - as: records
    from: one/shop
    to: again/records
    create: records.sql
    where: {kind: record}
    columns: {id: {cast: {between: sk, prefix: "RECORD#"}, to: integer}, performer: {cast: {between: pk, prefix: "PERFORMER#"}, to: integer}}
    same: [title, released, cover]
    rest: drop
  - as: styles
    from: one/shop
    to: again/styles
    create: styles.sql
    where: {pk: STYLES}
    columns: {code: {between: sk, prefix: "STYLE#"}}
    same: [label]
    rest: drop
  - as: songs
    from: one/shop
    to: again/songs
    create: songs.sql
    where: {pk: {begins_with: "SONG#"}, sk: PROFILE}
    columns: {id: {cast: {between: pk, prefix: "SONG#"}, to: integer}}
    same: [record, style, title, seconds, loudness, price, clip]
    rest: drop
  - as: credits
    from: one/shop
    to: again/credits
    create: credits.sql
    where: {kind: credit}
    columns: {song: {cast: {between: pk, prefix: "SONG#"}, to: integer}, performer: {cast: {between: sk, prefix: "PERFORMER#"}, to: integer}}
    same: [part]
    rest: drop
  - as: lists
    from: one/shop
    to: again/lists
    create: lists.sql
    where: {kind: list}
    columns: {id: {between: pk, prefix: "LIST#"}}
    same: [title, public]
    rest: drop
  - as: entries
    from: one/shop
    to: 'again/"list entry"'
    create: list entry.sql
    where: {sk: {begins_with: "ENTRY#"}}
    columns: {list: {between: pk, prefix: "LIST#"}, position: {cast: {between: sk, prefix: "ENTRY#"}, to: integer}}
    same: [song]
    rest: drop
  - as: staff
    from: one/shop
    to: again/staff
    create: staff.sql
    where: {pk: STAFF}
    columns: {id: {cast: {between: sk, prefix: "STAFF#"}, to: integer}}
    same: [name, boss, hired]
    rest: drop
  - as: customers
    from: one/shop
    to: again/customers
    create: customers.sql
    where: {kind: customer}
    columns: {id: {cast: {between: pk, prefix: "CUSTOMER#"}, to: integer}}
    same: [mail, name, helper, credit, club]
    rest: drop
  - as: orders
    from: one/shop
    to: again/order
    create: order.sql
    where: {sk: {begins_with: "ORDER#"}}
    columns:
      no: {cast: {split: sk, by: "#", part: 3}, to: integer}
      customer: {cast: {between: pk, prefix: "CUSTOMER#"}, to: integer}
      placed: {split: sk, by: "#", part: 2}
    same: [ship to, it's a gift]
    rest: drop
  - as: lines
    from: one/shop
    to: again/order_lines
    create: order_lines.sql
    where: {kind: line}
    columns: {order: {cast: {between: pk, prefix: "ORDER#"}, to: integer}, line: {cast: {between: sk, prefix: "LINE#"}, to: integer}}
    same: [song, quantity, price]
    rest: drop
  - as: reviews
    from: one/shop
    to: again/reviews
    create: reviews.sql
    where: {kind: review}
    columns: {customer: {cast: {between: sk, prefix: "REVIEW#"}, to: integer}, record: {cast: {between: pk, prefix: "RECORD#"}, to: integer}}
    same: [stars, words]
    rest: drop
  - as: stock
    from: one/shop
    to: again/stock
    create: stock.sql
    where: {kind: stock}
    columns: {branch: {between: pk, prefix: "BRANCH#"}, day: {split: sk, by: "#", part: 2}, record: {cast: {split: sk, by: "#", part: 3}, to: integer}}
    same: [pieces]
    rest: drop
sync: none
"""
UNFOLDED = [name for name in SCHEMA if name != "settings"]


def folded(tables):
    """The items of the one table: {(pk, sk): {name: value}}, without what is null."""
    items = {}

    def put(pk, sk, kind, **more):
        assert (pk, sk) not in items, "two rows became %s, %s" % (pk, sk)
        items[pk, sk] = {"kind": kind, **{name: value for name, value in more.items() if value is not None}}

    def name_of(table, id, column="name"):
        return tables[table].get((id,), {}).get(column)

    def joined(prefix, value):
        return None if value is None else prefix + str(value)
    for (id,), row in tables["performers"].items():
        put("PERFORMER#%d" % id, "PROFILE", "performer", **without(row, "id"))
    for (id,), row in tables["records"].items():
        put("PERFORMER#%d" % row["performer"], "RECORD#%d" % id, "record", gsi1pk="RECORD#%d" % id, gsi1sk="RECORD",
            performer_name=name_of("performers", row["performer"]), **without(row, "id", "performer"))
    for (code,), row in tables["styles"].items():
        put("STYLES", "STYLE#" + code, "style", label=row["label"])
    for (id,), row in tables["songs"].items():
        put("SONG#%d" % id, "PROFILE", "song", gsi1pk=joined("RECORD#", row["record"]), gsi1sk="SONG#%d" % id,
            record_title=name_of("records", row["record"], "title"), **without(row, "id"))
        if row["style"] is not None:
            put("STYLE#" + row["style"], "SONG#%d" % id, "song of a style", title=row["title"])
    for (song, performer), row in tables["credits"].items():
        put("SONG#%d" % song, "PERFORMER#%d" % performer, "credit", part=row["part"], performer_name=name_of("performers", performer))
        put("PERFORMER#%d" % performer, "SONG#%d" % song, "song of a performer", part=row["part"], song_title=name_of("songs", song, "title"))
    for (id,), row in tables["lists"].items():
        put("LIST#" + id, "PROFILE", "list", **without(row, "id"))
    for (list_id, position), row in tables["list entry"].items():
        put("LIST#" + list_id, "ENTRY#%d" % position, "entry", gsi1pk="SONG#%d" % row["song"], gsi1sk="LIST#%s#%d" % (list_id, position),
            song=row["song"], song_title=name_of("songs", row["song"], "title"))
    for (id,), row in tables["staff"].items():
        put("STAFF", "STAFF#%d" % id, "staff", gsi1pk=joined("BOSS#", row["boss"]), gsi1sk="STAFF#%d" % id,
            boss_name=name_of("staff", row["boss"]), **without(row, "id"))
    for (id,), row in tables["customers"].items():
        put("CUSTOMER#%d" % id, "PROFILE", "customer", gsi1pk="MAIL#" + lower(row["mail"]), gsi1sk="CUSTOMER#%d" % id,
            helper_name=name_of("staff", row["helper"]) or "nobody", **without(row, "id"))
        if row["club"] in ("gold", "silver"):
            put("CLUB#" + row["club"], "CUSTOMER#%d" % id, "member", name=row["name"])
    for (no,), row in tables["order"].items():
        moment = datetime.datetime.fromisoformat(row["placed"].replace("Z", "+00:00"))
        put("CUSTOMER#%d" % row["customer"], "ORDER#%s#%d" % (row["placed"], no), "order", gsi1pk="ORDER#%d" % no, gsi1sk="ORDER",
            expires=int(moment.timestamp()), customer_name=name_of("customers", row["customer"]), **without(row, "no", "customer", "placed"))
    for (order, line), row in tables["order_lines"].items():
        put("ORDER#%d" % order, "LINE#%d" % line, "line", gsi1pk="SONG#%d" % row["song"], gsi1sk="ORDER#%d#%d" % (order, line),
            song_title=name_of("songs", row["song"], "title"), **without(row, "order", "line"))
    for (customer, record), row in tables["reviews"].items():
        put("RECORD#%d" % record, "REVIEW#%d" % customer, "review", gsi1pk="CUSTOMER#%d" % customer, gsi1sk="REVIEW#%d" % record,
            **without(row, "customer", "record"))
    for (branch, record, day), row in tables["stock"].items():
        put("BRANCH#" + branch, "DAY#%s#%d" % (day, record), "stock", pieces=row["pieces"])
    documents = {}
    for (section, key), row in tables["settings"].items():
        documents.setdefault(section, {})[key] = row["value"]
    for section, document in documents.items():
        put("SETTINGS#" + section, "ALL", "settings", doc=document)
    return items


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


def lower(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


# ---------------------------------------------------------------- what the application knows, and does

WORDS = ["Regen", "Łódź", "日本", "café", "Ωmega", "tide", "it's", 'the "B" side', "🎷", "long  way", "ñandú", "back\\slash", "tab\tand\nline"]


class Shop:
    """All rows, as the one application knows them that writes; `change` alters some."""

    def __init__(self, seed=11, songs=900):
        self.random = r = random.Random(seed)
        self.tables = {name: {} for name in SCHEMA}
        self.next = 100000
        for id in range(1, songs // 20 + 1):
            self.put("performers", id=id, name=self.words(), größe=r.choice([None, 1, 4, 2**40]), notes=r.choice([None, "", self.words(9)]))
        for id in range(1, songs // 6 + 1):
            self.put("records", id=id, performer=self.any("performers"), title=self.words(), released=r.choice([None, self.day()]),
                     cover=r.choice([None, b"", r.randbytes(40), b"\x00\xff\x00"]))
        for code in ("rock", "jazz", "r&b", "drum 'n' bass", "schlager", "é", "音頭", "A.M. {gold}", "no one's"):
            self.put("styles", code=code, label=r.choice([None, self.words()]))
        for id in range(1, songs + 1):
            self.new_song(id)
        for _ in range(songs):
            self.new_credit()
        for number in range(songs // 30):
            self.put("lists", id="mix %d %s" % (number, r.choice(["☂", "ß", "x y", "'"])), title=r.choice([None, self.words()]), public=number % 2)
        for _ in range(songs // 2):
            self.new_entry()
        for id in range(1, 13):
            self.put("staff", id=id, name=self.words(), boss=None if id == 1 else r.randrange(1, id), hired=self.day())
        for id in range(1, songs // 6 + 1):
            self.new_customer(id)
        for id in range(songs // 3):
            self.new_order(id if id % 5 else 2**53 + id)
        for _ in range(songs // 3):
            self.new_review()
        for _ in range(songs // 3):
            self.new_stock()
        for number in range(60):
            self.put("settings", section="section %d" % (number % 7), key="key-%d é" % number, value=r.choice([None, "", "7", self.words(), '{"a": 1}']))

    # Rows, as they come about.

    def put(self, table, **row):
        self.tables[table][tuple(row[part] for part in KEYS[table])] = row

    def new_song(self, id):
        r = self.random
        self.put("songs", id=id, record=r.choice([None, self.any("records"), self.any("records")]), style=r.choice([None, self.any("styles"), self.any("styles")]),
                 title=self.words(), seconds=r.choice([None, r.randrange(30, 900)]), loudness=r.choice([None, 0.0, -7.0, r.uniform(-30, 0), 1e-7]),
                 price=self.money(), clip=r.choice([None, None, r.randbytes(r.randrange(1, 200))]))

    def new_credit(self):
        self.put("credits", song=self.any("songs"), performer=self.any("performers"), part=self.random.choice([None, "voice", "bass", self.words(1)]))

    def new_entry(self):
        self.put("list entry", list=self.any("lists"), position=self.random.randrange(-3, 60), song=self.any("songs"))

    def new_customer(self, id):
        r = self.random
        self.put("customers", id=id, mail="Customer.%d@Example.%s" % (id, r.choice(["org", "ÖRG"])), name=r.choice([None, self.words(), self.words()]),
                 helper=r.choice([None, self.any("staff")]), credit=r.choice([None, 0, self.money(), 9999999.75, -12.5]),
                 club=r.choice([None, "gold", "silver", "none"]))

    def new_order(self, no):
        r = self.random
        placed = "%sT%02d:%02d:%02d.%03dZ" % (self.day(), r.randrange(24), r.randrange(60), r.randrange(60), r.randrange(1000))
        self.put("order", no=no, customer=self.any("customers"), placed=placed, **{"ship to": r.choice([None, self.words(4)]), "it's a gift": r.choice([None, 0, 1])})
        for line in range(1, r.randrange(2, 6)):
            self.put("order_lines", order=no, line=line, song=self.any("songs"), quantity=r.randrange(1, 9), price=self.money())

    def new_review(self):
        self.put("reviews", customer=self.any("customers"), record=self.any("records"), stars=self.random.choice([None, 1, 3, 5]),
                 words=self.random.choice([None, "", self.words(12)]))

    def new_stock(self):
        self.put("stock", branch=self.random.choice(["nord", "süd", "o'west", "北"]), record=self.any("records"), day=self.day(), pieces=self.random.randrange(-2, 400))

    def words(self, most=3):
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randrange(1, most + 1)))

    def day(self):
        return "2026-%02d-%02d" % (self.random.randrange(1, 13), self.random.randrange(1, 29))

    def money(self):
        """As NUMERIC keeps it: a whole number is an integer."""
        cents = self.random.choice([99, 100, 1050, self.random.randrange(1, 100000)])
        return cents // 100 if cents % 100 == 0 else cents / 100

    def any(self, table):
        """A key of one column, evenly."""
        return self.random.choice(list(self.tables[table]))[0]

    # What goes on in the shop.

    def change(self):
        """One thing happens. References stay whole, as an application keeps them."""
        r, tables = self.random, self.tables
        self.next += 1
        act = r.randrange(20)
        if act == 0:
            self.new_song(self.next)
            self.new_credit()
        elif act == 1:
            self.new_order(self.next)
        elif act == 2:
            self.new_customer(self.next)
        elif act == 3:
            self.new_review()
        elif act == 4:
            self.new_stock()
        elif act == 5:  # whom copies name gets another name
            self.set("performers", name=self.words(), notes=r.choice([None, self.words(5)]))
        elif act == 6:
            self.set("staff", name=self.words())
        elif act == 7:
            self.set("songs", title=self.words(), price=self.money(), clip=r.choice([None, b"", r.randbytes(9)]))
        elif act == 8:  # items come and go
            self.set("songs", style=r.choice([None, self.any("styles")]), record=r.choice([None, self.any("records")]), loudness=r.choice([None, 3.0]))
        elif act == 9:
            self.set("customers", club=r.choice([None, "gold", "silver", "none"]), name=r.choice([None, self.words()]), credit=r.choice([None, self.money()]))
        elif act == 10:  # rows that get another key in the new shape
            self.set("records", performer=self.any("performers"), released=r.choice([None, self.day()]), cover=r.choice([None, r.randbytes(5)]))
        elif act == 11:
            self.set("order", customer=self.any("customers"), **{"ship to": r.choice([None, ""]), "it's a gift": r.choice([None, 0, 1])})
        elif act == 12:
            no = self.any("order")
            for key in [key for key in tables["order_lines"] if key[0] == no]:
                del tables["order_lines"][key]
            del tables["order"][no,]
        elif act == 13:
            self.set("staff", boss=r.choice([None, 1]), hired=self.day())
        elif act == 14:
            for table in ("reviews", "credits"):
                del tables[table][r.choice(list(tables[table]))]
        elif act == 15:  # an entry moves within its list: another key in both shapes
            entry = tables["list entry"].pop(r.choice(list(tables["list entry"])))
            self.put("list entry", **{**entry, "position": self.next})
        elif act == 16:
            self.put("settings", section="section %d" % r.randrange(9), key="key-%d é" % r.randrange(70), value=r.choice([None, self.words()]))
        elif act == 17:
            section = "section %d" % r.randrange(9)
            gone = [key for key in tables["settings"] if key[0] == section]
            for key in gone if r.randrange(3) == 0 else gone[:1]:
                del tables["settings"][key]
        elif act == 18:
            self.set("lists", title=r.choice([None, self.words()]), public=r.randrange(2))
            self.new_entry()
        else:
            self.set("stock", pieces=r.randrange(400))
            self.set("order_lines", quantity=r.randrange(1, 9), song=self.any("songs"))

    def set(self, table, **values):
        key = self.random.choice(list(self.tables[table]))
        self.tables[table][key] = {**self.tables[table][key], **values}

    def state(self):
        """Rows are replaced and never altered, so this is enough to compare with later."""
        return {name: dict(rows) for name, rows in self.tables.items()}


class Writer:
    """Goes on for as long as the `with` lasts, a change at a time, on whichever side serves.

    `write` makes one change and tells whether that was on the new side.
    """

    def __init__(self, write, pause):
        self.write, self.pause, self.stop, self.failure, self.sides = write, pause, threading.Event(), None, {False: 0, True: 0}

    def __enter__(self):
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        if self.failure:
            raise self.failure

    def go_on(self):
        try:
            while not self.stop.is_set():
                self.sides[self.write()] += 1
                time.sleep(self.pause)
        except Exception as failure:  # told by the thread that waits
            self.failure = failure


# ---------------------------------------------------------------- the tables in SQLite


def quoted(name):
    return '"%s"' % name.replace('"', '""')


def create(db):
    db.executescript(";".join(SCHEMA.values()))


def statements(before, after):
    """What changed between two states, as statements on the fourteen tables and their values."""
    for table, key in KEYS.items():
        old, new = before[table], after[table]
        where = " AND ".join(quoted(part) + " = ?" for part in key)
        for found in old:
            if found not in new:
                yield "DELETE FROM %s WHERE %s" % (quoted(table), where), found
        for found, row in new.items():
            if found not in old:
                yield insertion(table, row)
            elif old[found] != row:
                changed = {name: value for name, value in row.items() if value != old[found][name]}
                yield "UPDATE %s SET %s WHERE %s" % (quoted(table), settings(changed), where), (*changed.values(), *found)


def insertion(table, row):
    return "INSERT INTO %s (%s) VALUES (%s)" % (quoted(table), ", ".join(map(quoted, row)), ", ".join("?" * len(row))), tuple(row.values())


def settings(row):
    return ", ".join(quoted(name) + " = ?" for name in row)


def read_rows(db, tables=tuple(SCHEMA)):
    found = {}
    for table in tables:
        rows = db.execute("SELECT * FROM " + quoted(table))
        names = [column[0] for column in rows.description]
        found[table] = {}
        for values in rows.fetchall():
            row = without(dict(zip(names, values)), *COMPUTED.get(table, ()))
            found[table][tuple(row[part] for part in KEYS[table])] = row
    return found


def expect_same(wanted, found, what):
    """Row by row, value by value, and each of the same type."""
    for table, rows in wanted.items():
        there = found[table]
        missing, extra = [key for key in rows if key not in there], [key for key in there if key not in rows]
        differ = [(key, difference(rows[key], there[key])) for key in rows if key in there and typed(rows[key]) != typed(there[key])]
        assert not missing and not extra and not differ, "%s: %s: missing %s, extra %s, other %s: %s" % (
            what, table, missing[:3], extra[:3], len(differ), differ[:3])


def typed(row):
    return {name: (type(value), value) for name, value in row.items()}


def difference(wanted, found):
    names = {**wanted, **found}
    return {name: (wanted.get(name), found.get(name)) for name in names if typed({0: wanted.get(name)}) != typed({0: found.get(name)})}

class World:
    """The shop in app.db of a folder of its own, with both plans. Who derives from it says where the one table is."""

    BINARY, patience, environment = "", 200, None

    def __init__(self, songs, cutover, marks, files):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-ten-tables-"))
        self.shop = Shop(songs=songs)
        for name, text in {"fold.yaml": FOLD + cutover, "unfold.yaml": UNFOLD, "again.db": "", **files,
                           **{name + ".sql": text for name, text in SCHEMA.items()}}.items():
            for mark, value in {"OLD_STORE": "sqlite:app.db", **marks}.items():
                text = text.replace(mark, value)
            (self.folder / name).write_text(text)
        self.db = self.open()
        self.db.execute("PRAGMA journal_mode = WAL")
        self.prepare()
        create(self.db)
        self.db.execute("BEGIN")
        for sql, values in statements({name: {} for name in SCHEMA}, self.shop.state()):
            self.db.execute(sql, values)
        self.db.execute("COMMIT")
        self.written, self.schema = self.shop.state(), self.objects()

    def prepare(self):
        """What app.db has besides the shop."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.db.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, name="app.db"):
        return sqlite3.connect(self.folder / name, timeout=20, isolation_level=None, check_same_thread=False)

    def run(self, plan, *words):
        done = subprocess.run([self.BINARY, words[0], plan, *words[1:]], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=self.patience)
        assert done.returncode == 0, "%s %s gave %d:\n%s%s" % (plan, words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def objects(self):
        return sorted(map(str, self.db.execute("SELECT type, name, sql FROM sqlite_master")))

    def change(self, changes):
        """What the shop was before, and is now."""
        for _ in range(changes):
            self.shop.change()
        before, self.written = self.written, self.shop.state()
        return before, self.written

    def transaction(self, make_statements):
        """Whether it could be written; nothing is while whimbrel holds the tables."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            for sql, values in make_statements():
                self.db.execute(sql, values)
            self.db.execute("COMMIT")
            return True
        except sqlite3.Error as failure:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if "whimbrel" not in str(failure):
                raise
            return False

    def expect_old(self, what):
        expect_same(self.written, read_rows(self.db), what)
