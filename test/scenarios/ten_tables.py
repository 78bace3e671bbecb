"""Fourteen tables of a record shop fold into one and unfold again, from SQLite to SQLite, under a writer.

What has to be there is computed in test/support/record_shop.py, from what the application knows, and compared row by
row and type by type.
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import record_shop as shop  # noqa: E402
from whimbrel import BINARY, main  # noqa: E402

CUTOVER = """
cutover:
  max_hold: 5s
  switches: [{row: old/switches, key: {name: one_table}, set: {state: 1}, create: true}]
"""


class World(shop.World):
    BINARY = BINARY

    def __init__(self, songs):
        super().__init__(songs, CUTOVER, {"NEW_STORE": "sqlite:app.db", "SHOP_FILE": "shop.sql"}, {"shop.sql": shop.ONE_TABLE})
        self.expect_old("generated")  # no type of a column changes what it gets

    def prepare(self):
        self.db.execute("CREATE TABLE switches (name TEXT PRIMARY KEY, state INTEGER NOT NULL)")

    def write(self, changes):
        """Some changes in one transaction, to the side that the switch names; tells whether that is the new one."""
        before, after = self.change(changes)
        sides = []

        def of_the_side():
            sides.append(self.db.execute("SELECT state FROM switches WHERE name = 'one_table'").fetchone() == (1,))
            return list((shop.statements, item_statements)[sides[-1]](before, after))
        while not self.transaction(of_the_side):
            time.sleep(0.01)
        return sides[-1]

    def writer(self):
        return shop.Writer(lambda: self.write(1), pause=0.02)

    def expect_new(self, what):
        shop.expect_same({"shop": shop.folded(self.written)}, {"shop": read_items(self.db)}, what)


def item_statements(before, after):
    old, new = shop.folded(before), shop.folded(after)
    for key in old:
        if key not in new:
            yield "DELETE FROM shop WHERE pk = ? AND sk = ?", key
    for key, item in new.items():
        if key not in old:
            yield shop.insertion("shop", {"pk": key[0], "sk": key[1], **stored(item)})
        elif old[key] != item:
            columns = {**{name: None for name in old[key] if name not in item}, **stored(item)}
            yield "UPDATE shop SET %s WHERE pk = ? AND sk = ?" % shop.settings(columns), (*columns.values(), *key)


def stored(item):
    return {name: json.dumps(value) if name == "doc" else value for name, value in item.items()}


def read_items(db):
    rows = db.execute("SELECT * FROM shop")
    names, items = [column[0] for column in rows.description], {}
    for values in rows:
        item = {name: value for name, value in zip(names, values) if value is not None}
        if "doc" in item:
            item["doc"] = json.loads(item["doc"])
        items[item.pop("pk"), item.pop("sk")] = item
    return items


def fourteen_tables_become_one_and_come_back_under_a_writer():
    with World(songs=600) as world:
        world.run("fold.yaml", "check")
        with world.writer() as writer:
            world.run("fold.yaml", "run", "--yes", "--until", "verify")
        assert writer.sides[False] > 5 and not writer.sides[True], writer.sides
        assert not world.write(150)
        world.run("fold.yaml", "run", "--yes", "--until", "verify")
        world.expect_old("before the switch")
        world.expect_new("before the switch")
        with world.writer():  # which goes over to the new side in between
            world.run("fold.yaml", "run", "--yes")
        assert world.write(1)
        world.expect_new("after the switch")
        the_index_answers(world)
        assert world.write(150)
        world.run("fold.yaml", "run", "--yes")
        world.expect_old("kept in step")
        assert "0 differ" in world.run("fold.yaml", "verify")
        assert world.write(100)
        with world.writer():  # and back again
            world.run("fold.yaml", "rollback", "--yes")
        assert not world.write(1)
        world.expect_old("rolled back")
        assert world.objects() == world.schema, set(world.objects()) ^ set(world.schema)


def the_index_answers(world):
    """What an application asks the one table for, against what the shop knows."""
    songs = world.written["songs"]
    for record in sorted({row["record"] for row in songs.values() if row["record"]})[:20]:
        titles = world.db.execute("SELECT title FROM shop WHERE gsi1pk = ? AND gsi1sk > 'SONG#' ORDER BY title", ("RECORD#%d" % record,)).fetchall()
        assert titles == sorted((row["title"],) for row in songs.values() if row["record"] == record)


def one_table_becomes_thirteen_of_another_file():
    with World(songs=300) as world:
        world.run("fold.yaml", "run", "--yes")
        assert world.write(100)
        world.run("unfold.yaml", "run", "--yes")
        again = world.open("again.db")
        shop.expect_same({name: world.written[name] for name in shop.UNFOLDED}, shop.read_rows(again, shop.UNFOLDED), "unfolded")
        world.run("unfold.yaml", "rollback", "--yes")
        assert again.execute("SELECT name FROM sqlite_master").fetchall() == []
        again.close()


if __name__ == "__main__":
    main(fourteen_tables_become_one_and_come_back_under_a_writer, one_table_becomes_thirteen_of_another_file)
