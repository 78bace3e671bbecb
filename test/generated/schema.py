"""Tables as a generator sees them: columns, keys, constraints, and the DDL that makes them."""
from dataclasses import dataclass, field

import values

TYPES = {
    "integer": ["INTEGER", "INT", "BIGINT", "SMALLINT", "INTEGER", "UNSIGNED BIG INT", "FLOATING POINT"],
    "text": ["TEXT", "VARCHAR(40)", "CHAR(10)", "TEXT", "CLOB", "nvarchar(5)"],
    "real": ["REAL", "FLOAT", "DOUBLE", "DOUBLE PRECISION"],
    "numeric": ["NUMERIC", "DECIMAL(10,4)", "BOOLEAN", "DATETIME", "DATE", "JSON", "TIMESTAMP", "ANY"],
    "blob": ["BLOB", ""],
    "strict": ["INTEGER", "INT", "REAL", "TEXT", "BLOB", "ANY"],
}
FILLED_WITH = {"INTEGER": "integer", "INT": "integer", "BIGINT": "integer", "SMALLINT": "integer", "UNSIGNED BIG INT": "integer",
               "FLOATING POINT": "integer", "TEXT": "text", "VARCHAR(40)": "text", "CHAR(10)": "text", "CLOB": "text",
               "nvarchar(5)": "text", "REAL": "real", "FLOAT": "real", "DOUBLE": "real", "DOUBLE PRECISION": "real",
               "NUMERIC": "real", "DECIMAL(10,4)": "real", "BOOLEAN": "integer", "DATETIME": "text", "DATE": "text",
               "TIMESTAMP": "text", "JSON": "text", "ANY": "any", "BLOB": "blob", "": "any"}

PLAIN_NAMES = ["id", "name", "status", "amount", "note", "created_at", "owner", "kind", "price", "qty", "title", "body", "code",
               "state", "email", "rank", "flag", "score", "payload", "total"]
ODD_NAMES = ["select", "order", "group", "a b", "it's", 'q"uote', "naïve", "名前", "dot.ted", "per%cent", "semi;colon", "UPPER",
             "back`tick", "dash-ed", "[bracket]", "1digit", "new", "old", "emoji🙂", "pipe|d", "excluded", "where", "values",
             "null", "true", "#hash", "c: d", "*", "&amp", "!bang", "- x", "~", "s", "t", "r", "busy", "v", "of", "removed", "k1",
             "seq", "oid", "x'00'", "-- no", "\\back", "$dollar", "?1", ":p", "@p", "table", "check", "CHECK it", "one", " lead"]
BRACED_NAMES = ["brace{d", "{x}", "}y", "a{{b"]
TABLE_NAMES = ["orders", "users", "workflow", "s", "t", "r", "order", "old orders", "new {orders}", "it's", 'q"t', "表", "a.b", "UPPER",
               "select", "x;y", "1st", "check", "per%c_nt", "[t]", "touched", "a/b", "excluded", "guard"]


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "x'%s'" % value.hex()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


@dataclass
class Column:
    name: str
    declared: str
    filled: str = "text"          # what its values mostly are
    collation: str = ""
    required: bool = False        # NOT NULL
    default: object = None        # a value; None for no DEFAULT
    check: str = ""
    computed: str = ""            # SQL of a generated column
    stored: bool = False
    unique: bool = False          # values are all different
    pool: list = None             # the only values it takes
    refers: object = None         # the source table whose keys it takes
    by_trigger: bool = False      # a trigger of the application writes it

    def ddl(self):
        text = quote(self.name) + (" " + self.declared if self.declared else "")
        if self.collation:
            text += " COLLATE " + self.collation
        if self.required:
            text += " NOT NULL"
        if self.default is not None:
            text += " DEFAULT " + ("(%s)" % literal(self.default) if isinstance(self.default, (int, float)) else literal(self.default))
        if self.check:
            text += " CHECK (%s)" % self.check
        if self.computed:
            text += " GENERATED ALWAYS AS (%s) %s" % (self.computed, "STORED" if self.stored else "VIRTUAL")
        return text


@dataclass
class Table:
    name: str
    columns: list
    key: list
    key_style: str = "primary"    # rowid | autoincrement | primary | descending | without_rowid | unique | numbered
    strict: bool = False
    indexes: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    triggers: list = field(default_factory=list)
    views: list = field(default_factory=list)

    def column(self, name):
        return next(column for column in self.columns if column.name == name)

    def writable(self):
        return [column for column in self.columns if not column.computed]

    def is_rowid(self, name):
        """INTEGER PRIMARY KEY, which takes whole numbers only."""
        return self.key == [name] and self.column(name).declared == "INTEGER" and self.key_style not in ("without_rowid", "unique")

    def is_hidden(self, name):
        """The number of a row in a table without a key."""
        return self.key_style == "numbered" and name in self.key

    def payload(self):
        return [column for column in self.writable() if column.name not in self.key]

    def names(self):
        return [column.name for column in self.columns]

    def table_ddl(self):
        parts = []
        for column in self.columns:
            if self.is_hidden(column.name):
                continue
            text = column.ddl()
            if self.key_style in ("rowid", "autoincrement") and column.name in self.key:
                text = "%s INTEGER PRIMARY KEY%s" % (quote(column.name), " AUTOINCREMENT" if self.key_style == "autoincrement" else "")
            parts.append(text)
        if self.key_style in ("primary", "without_rowid", "descending"):
            order = " DESC" if self.key_style == "descending" else ""
            parts.append("PRIMARY KEY (%s)" % ", ".join(quote(name) + order for name in self.key))
        parts += self.foreign
        options = [word for word, on in (("WITHOUT ROWID", self.key_style == "without_rowid"), ("STRICT", self.strict)) if on]
        return "CREATE TABLE %s (\n  %s\n)%s" % (quote(self.name), ",\n  ".join(parts), " " + ", ".join(options) if options else "")

    def unique_key_ddl(self):
        if self.key_style != "unique":
            return []
        return ["CREATE UNIQUE INDEX %s ON %s (%s)" % (quote("key of " + self.name), quote(self.name),
                                                       ", ".join(quote(name) for name in self.key))]

    def ddl(self):
        return [self.table_ddl()] + self.unique_key_ddl() + self.indexes + self.triggers + self.views

    def where_key(self):
        return " AND ".join("%s = ?" % quote(name) for name in self.key)


class Names:
    """Names that no two columns of a table share, in SQLite's sense of the word."""

    def __init__(self, rnd, odd):
        self.rnd, self.odd, self.taken = rnd, odd, set()

    def fresh(self, pool=None):
        while True:
            choices = pool or (ODD_NAMES if self.rnd.random() < self.odd else PLAIN_NAMES)
            name = self.rnd.choice(choices)
            if name.lower() in self.taken:
                name += self.rnd.choice(["2", " 2", "_b", "é", "0"])
            if name.lower() not in self.taken:
                self.taken.add(name.lower())
                return name

    def take(self, name):
        if name.lower() in self.taken:
            return self.fresh()
        self.taken.add(name.lower())
        return name


def some_type(rnd, strict, kind=None):
    if strict:
        return rnd.choice(TYPES["strict"])
    return rnd.choice(TYPES[kind or rnd.choice(["integer", "text", "text", "real", "numeric", "numeric", "blob"])])


def draw(rnd, column, storage, strict=False):
    """A value for a column, as an application would store it."""
    if column.pool is not None:
        return rnd.choice(column.pool)
    if not column.required and rnd.random() < 0.15:
        return None
    while True:
        value = values.some_value(rnd, column.filled)
        if isinstance(value, float) and value != value:
            continue
        try:
            return storage.stored(column.declared, value, strict)
        except TypeError:
            continue


def index_ddl(rnd, table, number, columns):
    """One secondary index: plain, of several columns, descending, partial, over an expression, or with a collation."""
    chosen = rnd.sample(columns, min(len(columns), rnd.randint(1, 2)))
    style = rnd.choice(["plain", "descending", "partial", "expression", "collation"])
    parts = [quote(column.name) for column in chosen]
    if style == "descending":
        parts[0] += " DESC"
    if style == "collation":
        parts[0] += " COLLATE " + rnd.choice(["NOCASE", "RTRIM"])
    if style == "expression":
        parts[0] = "length(%s)" % parts[0]
    where = " WHERE %s IS NOT NULL" % quote(chosen[0].name) if style == "partial" else ""
    return "CREATE INDEX %s ON %s (%s)%s" % (quote("by %d of %s" % (number, table.name)), quote(table.name), ", ".join(parts), where)
