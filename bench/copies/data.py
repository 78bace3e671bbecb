"""The rows that are copied, and whether a copy of them is right.

A row is computed from its table and its number, so the same size always gives the same rows, and
nobody has to keep them.
"""
import collections
import hashlib
import random

LEVELS = (
    ("Properties", "Contacts", "BackOfficeRoles", "NotificationTemplate", "AppPreferences"),
    ("ContactUs", "Requests", "Affiliates", "Memberships", "Reviews"),
    ("Projects", "Visits", "Surveys", "Offers", "Tickets"),
    ("Quotes", "ProjectComments", "ProjectMilestones", "ProjectTerms", "ProjectRoles"),
    ("QuoteItems", "QuoteNotes", "Signatures", "Invoices", "Receipts"))
TABLES = [name for level in LEVELS for name in level]
COLUMNS = ("id", "title", "status", "amount", "notes", "createdAt")
REFERENCES = ("parentId", "relatedId")
STATES = ("new", "open", "won", "lost", "archived")
TEXTS = ("größere Änderung", "O'Brien's \"urgent\" case", "two\nlines", "検索結果", "done", "")
EXACT_ROWS = 50_000  # as many are compared value by value; all of them by count and references


def references_of(table):
    """A column each, and where it leads: to the level above, and to any level above."""
    level = next(at for at, names in enumerate(LEVELS) if table in names)
    if level == 0:
        return {}
    place = LEVELS[level].index(table)
    return {"parentId": LEVELS[level - 1][place],
            "relatedId": LEVELS[place % level][(place + 1) % len(LEVELS[0])]}


def for_engine():
    return [{"name": table, "references": references_of(table)} for table in TABLES]


def id_of(table, number):
    text = hashlib.md5(f"{table} {number}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def rows_of(table, count):
    """Rows of a table as maps. Some parents have many children, and one reference in 20 is null."""
    pick = random.Random(table)
    references = references_of(table)
    for number in range(count):
        row = {"id": id_of(table, number), "title": f"{table} {number}",
               "status": STATES[number % len(STATES)], "amount": number * 37 % 100_000,
               "notes": TEXTS[number % len(TEXTS)] + "x" * (number * 7 % 160),
               "createdAt": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}T08:00:00.000Z"}
        for column, parent in references.items():
            chosen = int(pick.random() ** 2 * count)
            row[column] = None if number % 20 == 7 and column == "relatedId" else id_of(parent,
                                                                                       chosen)
        yield row


def degrees(rows, column):
    """How many rows have how many others that refer to them."""
    return collections.Counter(collections.Counter(
        row[column] for row in rows if row[column] is not None).values())


def wrong_in(read, count, new_id):
    """What is wrong in a copy, as sentences. `read` gives the rows of a table, as maps."""
    found, ids = [], {}
    each = max(1, count * len(TABLES) // EXACT_ROWS)
    for table in TABLES:
        source = list(rows_of(table, count))
        target = {row["id"]: row for row in read(table)}
        ids[table] = set(target)
        if len(target) != count:
            found.append(f"{table} has {len(target)} rows, not {count}")
        for column, parent in references_of(table).items():
            lost = sum(row[column] is not None and row[column] not in ids[parent]
                       for row in target.values())
            if lost:
                found.append(f"{lost} of {table}.{column} lead nowhere")
            if degrees(source, column) != degrees(target.values(), column):
                found.append(f"{table}.{column} has other counts of references than the source")
        others = sum(target.get(new_id(table, row["id"])) != mapped(table, row, new_id)
                     for row in source[::each])
        if others:
            found.append(f"{others} of {len(source[::each])} rows of {table} are not as expected")
    return found


def mapped(table, row, new_id):
    changed = {column: row[column] and new_id(parent, row[column])
               for column, parent in references_of(table).items()}
    return {**row, "id": new_id(table, row["id"]), **changed}
