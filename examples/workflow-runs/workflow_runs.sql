-- The new table and its nine indexes. `create: workflow_runs.sql` makes them when they are missing
-- and compares with them when they are already there.

CREATE TABLE workflow_runs (
    run_id TEXT PRIMARY KEY,
    workflow_type TEXT NOT NULL,
    description TEXT NOT NULL,
    user_id TEXT,
    status TEXT NOT NULL DEFAULT 'pending',
    priority TEXT DEFAULT 'normal',

    -- How the run is set up
    max_turns INTEGER DEFAULT 30,
    session_id TEXT,
    git_branch TEXT,
    repository_url TEXT,

    -- When
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMP,
    completed_at TIMESTAMP,

    -- What came out. SQLite stores DECIMAL(10,4) with NUMERIC affinity: a cost of 0.0 becomes the
    -- integer 0, and comparisons are made after that.
    result_data JSON,
    error_details JSON,
    execution_time_ms INTEGER,
    total_cost DECIMAL(10,4),

    -- New here; the old table has no place for these
    tags JSON DEFAULT '[]',
    metadata JSON DEFAULT '{}',
    progress_data JSON DEFAULT '{}',
    resource_usage JSON DEFAULT '{}',

    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE SET NULL
);

-- One column each
CREATE INDEX idx_workflow_runs_status ON workflow_runs(status);
CREATE INDEX idx_workflow_runs_workflow_type ON workflow_runs(workflow_type);
CREATE INDEX idx_workflow_runs_user_id ON workflow_runs(user_id);
CREATE INDEX idx_workflow_runs_created_at ON workflow_runs(created_at);
CREATE INDEX idx_workflow_runs_completed_at ON workflow_runs(completed_at);
CREATE INDEX idx_workflow_runs_priority ON workflow_runs(priority);

-- Two columns, for analytics
CREATE INDEX idx_workflow_runs_type_status ON workflow_runs(workflow_type, status);
CREATE INDEX idx_workflow_runs_user_status ON workflow_runs(user_id, status);
CREATE INDEX idx_workflow_runs_date_range ON workflow_runs(created_at, completed_at);
