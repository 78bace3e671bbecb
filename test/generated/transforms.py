"""What a plan can say about a column, with a reading of its own: evaluated in Python, from the documents alone.

`Refused` is what the documents say is refused. `Doubtful` is what they leave open: such rows are not generated.
"""
import datetime
import json

from values import encode, is_negative_zero, is_tame, same


class Refused(Exception):
    pass


class Doubtful(Exception):
    pass


class Document(str):
    """JSON text: equal documents may be written with different spaces and escapes."""


def parsed(text):
    def pairs(items):
        return ("object", items)

    def strict(value):
        if isinstance(value, tuple):
            return ("object", [(name, strict(one)) for name, one in value[1]])
        if isinstance(value, list):
            return ("array", [strict(one) for one in value])
        return (type(value).__name__, value)
    return strict(json.loads(text, object_pairs_hook=pairs))


def same_value(want, found):
    if same(want, found):
        return True
    if not isinstance(want, Document) or not isinstance(found, str):
        return False
    try:
        return parsed(want) == parsed(found)
    except ValueError:
        return False


def scalar(value):
    """A plain YAML value: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)


def as_text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        raise Refused("bytes in a text")
    if isinstance(value, float):
        if not is_tame(value):
            raise Doubtful("the text of %r" % value)
        text = "%.15g" % value
        return text if "." in text or "e" in text else text + ".0"
    return str(value)


def ascii_lower(text):
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def ascii_upper(text):
    return "".join(chr(ord(c) - 32) if "a" <= c <= "z" else c for c in text)


FILTERS = {"lower": ascii_lower, "upper": ascii_upper, "trim": lambda text: text.strip(" ")}


class Expression:
    total = True     # a trigger can compute it without ever failing
    document = False

    def columns(self):
        return []

    def ways(self):
        """(source column, function from the stored target value to the source value).

        No function: something may come back, and the documents do not say what.
        """
        return []


def insert(name, filters=()):
    plain = name.isidentifier() and name.isascii()
    return "{%s%s}" % (name if plain else '"%s"' % name, "".join("|" + one for one in filters))


class Copy(Expression):
    def __init__(self, column, bare=True):
        self.column, self.bare = column, bare

    def yaml(self):
        return scalar(self.column) if self.bare else "{from: %s}" % scalar(self.column)

    def columns(self):
        return [self.column]

    def evaluate(self, row):
        return row[self.column]

    def ways(self):
        return [(self.column, lambda value: value)]


class Const(Expression):
    def __init__(self, value, bare=False):
        self.value, self.bare = value, bare

    def yaml(self):
        return scalar(self.value) if self.bare else "{const: %s}" % scalar(self.value)

    def evaluate(self, row):
        return int(self.value) if isinstance(self.value, bool) else self.value


class Template(Expression):
    """Parts are texts and (column, filters)."""

    def __init__(self, parts):
        self.parts = parts

    def yaml(self):
        spelled = [part.replace("{", "{{").replace("}", "}}") if isinstance(part, str) else insert(*part) for part in self.parts]
        return scalar("".join(spelled))

    def columns(self):
        return [part[0] for part in self.parts if not isinstance(part, str)]

    def evaluate(self, row):
        pieces = []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            piece = as_text(row[part[0]])
            if piece is None:
                return None
            for name in part[1]:
                piece = FILTERS[name](piece)
            pieces.append(piece)
        return "".join(pieces)

    def ways(self):
        inserts = [i for i, part in enumerate(self.parts) if not isinstance(part, str)]
        if len(inserts) != 1 or self.parts[inserts[0]][1]:
            return []
        before, after = "".join(self.parts[:inserts[0]]), "".join(self.parts[inserts[0] + 1:])

        def back(value):
            text = as_text(value)
            if text is None or not (text.startswith(before) and text.endswith(after)):
                return None
            return text[len(before):len(text) - len(after)]
        return [(self.parts[inserts[0]][0], back)]


class Map(Expression):
    def __init__(self, column, pairs, otherwise=None):
        self.column, self.pairs, self.otherwise = column, pairs, otherwise
        self.total = otherwise is not None

    def yaml(self):
        values = ", ".join("%s: %s" % (scalar(a), scalar(b)) for a, b in self.pairs)
        other = ", else: %s" % scalar(self.otherwise[0]) if self.otherwise else ""
        return "{map: %s, values: {%s}%s}" % (scalar(self.column), values, other)

    def columns(self):
        return [self.column]

    def evaluate(self, row):
        value = row[self.column]
        if value is None:
            return None
        if is_negative_zero(value):
            raise Refused("-0.0 in a map")
        for a, b in self.pairs:
            if same(a, value):
                return b
        if self.otherwise:
            return self.otherwise[0]
        raise Refused("%r is not in the map" % (value,))

    def ways(self):
        return [(self.column, None)]


class Coalesce(Expression):
    def __init__(self, parts):
        self.parts = parts
        self.total = all(part.total for part in parts)

    def yaml(self):
        return "{coalesce: [%s]}" % ", ".join(part.yaml() for part in self.parts)

    def columns(self):
        return [column for part in self.parts for column in part.columns()]

    def evaluate(self, row):
        for part in self.parts:
            value = part.evaluate(row)
            if value is not None:
                return value
        return None


class Concat(Coalesce):
    def yaml(self):
        return "{concat: [%s]}" % ", ".join(part.yaml() for part in self.parts)

    def evaluate(self, row):
        pieces = [as_text(part.evaluate(row)) for part in self.parts]
        return None if None in pieces else "".join(pieces)


class Json(Expression):
    """A tree of dicts, lists and expressions."""
    document = True

    def __init__(self, tree):
        self.tree = tree
        self.total = all(leaf.total for leaf in self.leaves(tree))

    @staticmethod
    def leaves(tree):
        if isinstance(tree, dict):
            return [leaf for one in tree.values() for leaf in Json.leaves(one)]
        if isinstance(tree, list):
            return [leaf for one in tree for leaf in Json.leaves(one)]
        return [tree]

    @staticmethod
    def spelled(tree):
        if isinstance(tree, dict):
            return "{%s}" % ", ".join("%s: %s" % (scalar(name), Json.spelled(one)) for name, one in tree.items())
        if isinstance(tree, list):
            return "[%s]" % ", ".join(Json.spelled(one) for one in tree)
        return tree.yaml()

    def yaml(self):
        return "{json: %s}" % self.spelled(self.tree)

    def columns(self):
        return [column for leaf in self.leaves(self.tree) for column in leaf.columns()]

    def built(self, tree, row):
        if isinstance(tree, dict):
            return {name: self.built(one, row) for name, one in tree.items()}
        if isinstance(tree, list):
            return [self.built(one, row) for one in tree]
        value = tree.value if isinstance(tree, Const) else tree.evaluate(row)
        if isinstance(value, bytes) or is_negative_zero(value):
            raise Refused("%r in JSON" % (value,))
        if isinstance(value, str) and "\0" in value:
            raise Refused("a NUL in JSON")
        return value

    def evaluate(self, row):
        return Document(json.dumps(self.built(self.tree, row), ensure_ascii=False))

    def ways(self):
        if not isinstance(self.tree, dict):
            return []

        def back(name):
            def take(value):
                try:
                    found = json.loads(value)[name]
                except (ValueError, KeyError, TypeError):
                    return None
                return Document(json.dumps(found)) if isinstance(found, (dict, list)) else found
            return take
        return [(leaf.column, back(name)) for name, leaf in self.tree.items() if isinstance(leaf, Copy)]


class Extract(Expression):
    total = False

    def __init__(self, column, path):
        self.column, self.path = column, path

    def yaml(self):
        steps = "".join("[%d]" % step if isinstance(step, int) else "." + step for step in self.path)
        return "{extract: %s}" % scalar(self.column + steps)

    def columns(self):
        return [self.column]

    def evaluate(self, row):
        value = row[self.column]
        if value is None:
            return None
        if not isinstance(value, str):
            raise Doubtful("JSON in a %s" % type(value).__name__)
        try:
            found = json.loads(value)
        except ValueError:
            raise Refused("no JSON") from None
        for step in self.path:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return None
        if isinstance(found, bool):
            return int(found)
        if isinstance(found, (dict, list)):
            return Document(json.dumps(found, ensure_ascii=False))
        return found


class Cast(Expression):
    total = False

    def __init__(self, column, to):
        self.column, self.to = column, to

    def yaml(self):
        return "{cast: %s, to: %s}" % (scalar(self.column), self.to)

    def columns(self):
        return [self.column]

    def evaluate(self, row):
        value = row[self.column]
        if value is None:
            return None
        return {"integer": self.to_integer, "real": self.to_real, "text": self.to_text, "bytes": self.to_bytes}[self.to](value)

    @staticmethod
    def to_text(value):
        if isinstance(value, bytes):
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                raise Doubtful("bytes that are no UTF-8") from None
        return as_text(value)

    @staticmethod
    def to_bytes(value):
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return encode(value)
        raise Refused("a number as bytes")

    @staticmethod
    def to_integer(value):
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            if is_tame(value) and value == int(value):
                return int(value)
            raise Refused("%r as integer" % value) if value != value // 1 else Doubtful("a large real")
        if isinstance(value, str) and value.lstrip("-").isdecimal() and value.isascii() and str(int(value)) == value:
            if abs(int(value)) < 2**63:
                return int(value)
        raise Refused("%r as integer" % (value,))

    @staticmethod
    def to_real(value):
        if isinstance(value, float):
            return value
        if isinstance(value, int):
            if abs(value) < 2**62 and int(float(value)) == value:
                return float(value)
            raise Doubtful("a large integer") if abs(value) >= 2**62 else Refused("%r as real" % value)
        if isinstance(value, str):
            try:
                number = float(value)
            except ValueError:
                raise Refused("%r as real" % value) from None
            if is_tame(number) and as_text(number) == value:
                return number
            raise Doubtful("the number in %r" % value)
        raise Refused("bytes as real")

    def ways(self):
        def to_text(value):
            return self.to_text(value) if isinstance(value, bytes) else value
        return [(self.column, to_text if self.to == "bytes" else lambda value: value)]


class Split(Expression):
    total = False

    def __init__(self, column, by, part):
        self.column, self.by, self.part = column, by, part

    def yaml(self):
        return "{split: %s, by: %s, part: %d}" % (scalar(self.column), scalar(self.by), self.part)

    def columns(self):
        return [self.column]

    def evaluate(self, row):
        text = as_text(row[self.column])
        if text is None:
            return None
        parts = text.split(self.by)
        return parts[self.part - 1] if self.part <= len(parts) else None


class Time(Expression):
    total = False

    def __init__(self, column, form, to):
        self.column, self.form, self.to = column, form, to

    def yaml(self):
        return "{time: %s, from: %s, as: %s}" % (scalar(self.column), self.form, self.to)

    def columns(self):
        return [self.column]

    def evaluate(self, row):
        value = row[self.column]
        if value is None:
            return None
        epoch = datetime.datetime(1970, 1, 1)
        if self.form == "iso8601":
            try:
                moment = datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ" if "." in value else "%Y-%m-%dT%H:%M:%SZ")
            except (ValueError, TypeError):
                raise Refused("%r is no time" % (value,)) from None
        elif isinstance(value, int) and 0 <= value < 2**31 * (1000 if self.form == "epoch_ms" else 1):
            moment = epoch + datetime.timedelta(milliseconds=value * (1000 if self.form == "epoch_s" else 1))
        else:
            raise Refused("%r is no time" % (value,))
        seconds = int((moment - epoch).total_seconds())
        if self.to == "iso8601":
            if self.form == "epoch_ms":
                return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (moment.microsecond // 1000)
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return seconds if self.to == "epoch_s" else seconds * 1000

    def ways(self):
        return [(self.column, None)]


class IfNull(Expression):
    def __init__(self, of, otherwise):
        self.of, self.otherwise = of, otherwise
        self.total = of.total and otherwise.total
        self.document = of.document

    def yaml(self):
        inner = self.of.yaml()
        if not inner.startswith("{") or inner.startswith("{from:"):
            inner = "{from: %s}" % (scalar(self.of.column) if isinstance(self.of, Copy) else inner)
        return "%s, if_null: %s}" % (inner[:-1], self.otherwise.yaml())

    def columns(self):
        return self.of.columns() + self.otherwise.columns()

    def evaluate(self, row):
        if self.of.document and self.of.columns():
            if all(row[column] is None for column in self.of.columns()):
                return self.otherwise.evaluate(row)
            return self.of.evaluate(row)
        value = self.of.evaluate(row)
        return self.otherwise.evaluate(row) if value is None else value

    def ways(self):
        return self.of.ways()
