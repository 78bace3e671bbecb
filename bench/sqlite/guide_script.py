#!/usr/bin/env python3
"""The migration script that the guide sketches, written out: guide_script.py DB

Batches of a thousand rows in the order of the key, each one INSERT ... SELECT in a transaction of
its own, with the guide's `NOT IN` that makes it repeatable. Two things are ours: the guide leaves
open where a batch begins and ends, and its statement fails where status is NULL.
"""
import sqlite3
import sys

BATCH = 1000

MOVE = """
INSERT INTO workflow_runs (
    run_id, workflow_type, description, status,
    max_turns, session_id, git_branch, repository_url,
    created_at, updated_at, started_at, completed_at,
    result_data, error_details, execution_time_ms, total_cost,
    tags, metadata, progress_data, resource_usage
)
SELECT
    id, workflow_name, message, coalesce(status, 'pending'),
    max_turns, session_name, git_branch, repository_url,
    created_at, updated_at, started_at, completed_at,
    CASE WHEN result IS NOT NULL THEN json_object('result', result) ELSE '{}' END,
    CASE WHEN error_message IS NOT NULL THEN json_object('error', error_message) ELSE '{}' END,
    execution_time, total_cost,
    '[]', '{}', '{}', '{}'
FROM workflow_processes
WHERE id BETWEEN ? AND ?
AND id NOT IN (SELECT run_id FROM workflow_runs)
"""


def main():
    connection = sqlite3.connect(sys.argv[1], timeout=600, isolation_level=None)
    first = connection.execute("SELECT min(id) FROM workflow_processes").fetchone()[0]
    while first is not None:
        keys = connection.execute("SELECT id FROM workflow_processes WHERE id >= ? ORDER BY id"
                                  " LIMIT ?", (first, BATCH + 1)).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(MOVE, (first, keys[:BATCH][-1][0]))
        connection.execute("COMMIT")
        first = keys[BATCH][0] if len(keys) > BATCH else None
    connection.close()


if __name__ == "__main__":
    main()
