"""Values worth storing, and what SQLite itself makes of a value in a column of a given type."""
import math
import sqlite3
import struct

INTEGERS = [0, 1, -1, 7, 42, 1000, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -2**53 - 1, 2**63 - 1, -2**63, 10**15]
REALS = [0.0, -0.0, 1.0, 0.1, -2.5, 12.3456, 1e15, 1e308, -1e308, 5e-324, 2.2250738585072014e-308, 9007199254740993.0,
         1e-7, 123456.789, 0.1 + 0.2]
TEXTS = ["", "a", "A", "null", "0", "007", "7", "-0", "1e5", "1.0", " lead", "trail ", "it's", 'say "hi"', "\\", "two\nlines",
         "tab\there", "größe", "検索", "🙂👩‍🔧", "{}", "[1]", "{\"a\": 1}", "{x} ${y}", "%s", "'; DROP TABLE t; --", "\u202eabc",
         "\x01\x1f", "nul\0inside", "NaN", "Infinity", "x'00'", "é", "e\u0301", "\ufeffbom", "A B", "a b", "\x7f"]
BLOBS = [b"", b"\x00", b"\xff\xfe", b"abc", b"\xc3\x28", bytes(range(256)), b"\x00\x01\x00"]
DOCUMENTS = ['{"a": 1, "b": {"c": ["x", 2.5, null]}, "d": "text"}', '{"a": null}', '{"b": {"c": []}}', "{}", '{"a": "größe", "d": ""}',
             '{"a": 9007199254740993, "b": {"c": [0, {"e": "deep"}]}}', '{"a": true, "d": [1, 2]}', '{"a": {"b": 1}, "d": "\\"q\\""}']
TIMES = ["2026-11-20T20:15:03Z", "1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2024-12-31T00:00:01Z", "1999-07-04T12:30:00Z"]


def exact(value):
    """A form in which two values are equal only if SQLite would tell no difference."""
    if isinstance(value, float):
        return ("real", struct.pack(">d", value))
    return (type(value).__name__, value)


def same(a, b):
    return exact(a) == exact(b)


def is_negative_zero(value):
    return isinstance(value, float) and value == 0 and math.copysign(1, value) < 0


def decode(data):
    return data.decode("utf-8", "surrogateescape")


def encode(text):
    return text.encode("utf-8", "surrogateescape")


class Storage:
    """Asks SQLite what a column of a type makes of a value."""

    def __init__(self):
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.connection.text_factory = decode
        self.tables = {}
        self.known = {}

    def table(self, declared, strict):
        name = self.tables.get((declared, strict))
        if name is None:
            name = self.tables[(declared, strict)] = "t%d" % len(self.tables)
            self.connection.execute("CREATE TABLE %s (v %s)%s" % (name, declared, " STRICT" if strict else ""))
            self.connection.execute("INSERT INTO %s VALUES (NULL)" % name)
        return name

    def stored(self, declared, value, strict=False):
        """The value as it is read back; TypeError where a STRICT table does not take it."""
        if value is None:
            return None
        key = (declared, strict, exact(value))
        if key not in self.known:
            name = self.table(declared, strict)
            try:
                self.connection.execute("UPDATE %s SET v = ?" % name, (value,))
                self.known[key] = self.connection.execute("SELECT v FROM %s" % name).fetchone()[0]
            except sqlite3.IntegrityError:
                self.known[key] = TypeError
        if self.known[key] is TypeError:
            raise TypeError("%r does not fit into a STRICT %s" % (value, declared))
        return self.known[key]

    def cast(self, value, to):
        return self.connection.execute("SELECT CAST(? AS %s)" % to, (value,)).fetchone()[0]

    def holds(self, declared, value, strict=False):
        """Whether the column gives the value back unchanged, if need be by a cast to what it was."""
        try:
            kept = self.stored(declared, value, strict)
        except TypeError:
            return False
        if same(kept, value):
            return True
        if isinstance(value, bytes) or isinstance(kept, bytes) or is_negative_zero(value):
            return False
        if isinstance(value, str):
            return self.cast(kept, "TEXT") == value
        if isinstance(value, float) and isinstance(kept, str):
            return is_tame(value) and same(float(kept), value)
        if isinstance(value, int) and isinstance(kept, float):
            return abs(value) < 2**62 and int(kept) == value
        return same(type(value)(kept), value)


def is_tame(value):
    """Reals whose decimal text every reader turns into the same number again."""
    if is_negative_zero(value) or not math.isfinite(value):
        return False
    return value == 0 or (1e-4 <= abs(value) < 1e14 and float("%.15g" % value) == value)


def some_integer(rnd):
    return rnd.choice(INTEGERS) if rnd.random() < 0.4 else rnd.randint(-1000, 100000)


def some_real(rnd):
    return rnd.choice(REALS) if rnd.random() < 0.4 else round(rnd.uniform(-1000, 1000), rnd.randint(0, 4))


def some_text(rnd):
    dice = rnd.random()
    if dice < 0.5:
        return rnd.choice(TEXTS)
    if dice < 0.53:
        return rnd.choice(TEXTS) * rnd.randint(200, 3000)
    return "".join(rnd.choices("abcdefgh ABC0123'\"é🙂_-{}", k=rnd.randint(1, 20)))


def some_blob(rnd):
    return rnd.choice(BLOBS) if rnd.random() < 0.6 else bytes(rnd.getrandbits(8) for _ in range(rnd.randint(1, 30)))


def some_value(rnd, kind):
    """A value of the kind that a column is mostly filled with; now and then of another one."""
    makers = {"integer": some_integer, "real": some_real, "text": some_text, "blob": some_blob}
    if kind == "any" or rnd.random() < 0.04:
        kind = rnd.choice(list(makers))
    return makers[kind](rnd)


def holds_surrogate(text):
    return any("\ud800" <= c <= "\udfff" for c in text)
