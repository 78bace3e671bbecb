-- The old schema, as the application knew it before the migration. generate.py fills it.
--
-- Worth noticing, because the migration has to cope with each of them: status may be NULL, result
-- and error_message are free text, timestamps are text, and the key is text without any order.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE workflow_processes (
    id TEXT PRIMARY KEY,
    workflow_name TEXT NOT NULL,
    message TEXT NOT NULL,
    max_turns INTEGER DEFAULT 30,
    session_name TEXT,
    git_branch TEXT,
    repository_url TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    status TEXT DEFAULT 'pending',
    result TEXT,
    error_message TEXT,
    execution_time INTEGER,
    total_cost REAL,
    started_at TIMESTAMP,
    completed_at TIMESTAMP
);

-- The application asks here, inside each write transaction, which schema it is to use. A row that
-- is missing means the old one.
CREATE TABLE feature_flags (
    name TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL DEFAULT 0
);
