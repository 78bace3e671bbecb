"""`health:` of a plan: what `diagnose summary` tells of both sides by it, and judges. With WHIMBREL naming the binary."""
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
PLAN = """whimbrel: 1
migration: jobs
stores: {app: "sqlite:app.db"}
tables:
  - from: app/jobs
    to: app/tasks
    create: tasks.sql
    columns: {status: state}
    same: [id, made, said]
    health: {newest: NEWEST, groups: state, stuck: {where: {state: [waiting, running]}, for: 1h}}
sync: capture
"""
HOUR = 3600


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def main():
    now = time.time()
    with tempfile.TemporaryDirectory(prefix="whimbrel-wellness-") as folder:
        def run(*words, expect=0):
            done = subprocess.run([BINARY, *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
            return done.stdout + done.stderr
        with sqlite3.connect(folder + "/app.db", isolation_level=None) as db:
            db.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, made INTEGER, said TEXT)")
            rows = [("done", now - 9 * HOUR), ("waiting", now - 5 * HOUR), ("waiting", now - 60), ("running", now - 2 * HOUR), ("done", now - 10), (None, now - 30)]
            db.executemany("INSERT INTO jobs (state, made, said) VALUES (?, ?, ?)", [(state, int(at * 1000), iso(at)) for state, at in rows])
            pathlib.Path(folder, "tasks.sql").write_text("CREATE TABLE tasks (id INTEGER PRIMARY KEY, status TEXT, made INTEGER, said TEXT);")
            for newest in ("made", "said"):  # milliseconds, and texts
                plan = pathlib.Path(folder, "plan.yaml")
                plan.write_text(PLAN.replace("NEWEST", newest))
                told = run("diagnose", "summary", "plan.yaml", expect=1)
                assert "2 rows of jobs have been stuck for more than 1 h 0 min, like 2" in told, told
                assert "newest by %s: " % newest in told and "(%s" % iso(rows[4][1])[:16] in told or newest == "said" and iso(rows[4][1]) in told, told
                assert "oldest by %s: " % newest in told and "'done' 2" in told and "null 1" in told, told
                run("run", "plan.yaml", "--yes")
                db.execute("UPDATE jobs SET state = 'done' WHERE id = 2")  # the side that serves is judged
                told = run("diagnose", "summary", "plan.yaml", expect=1)
                assert "rows of tasks have been stuck" in told and "by status: " in told, told
                db.execute("UPDATE tasks SET status = 'done'")
                told = run("diagnose", "summary", "plan.yaml", expect=0)
                assert "stuck for more than 1 h 0 min: 0 rows" in told and "healthy" in told, told
                hidden = run("diagnose", "summary", "plan.yaml", "--redact", "--json")
                new = json.loads(next(line for line in hidden.splitlines() if '"tables"' in line))["tables"][0]["new"]
                assert new["groups"] == {"column": "status", "groups": [{"rows": 6}]} and "value" not in new["newest"], new
                run("rollback", "plan.yaml", "--yes")
                db.executemany("UPDATE jobs SET state = ? WHERE id = ?", [(state, number + 1) for number, (state, _) in enumerate(rows)])
    print("ok      what a plan says of health is told and judged")


if __name__ == "__main__":
    sys.exit(main())
