-- One statement that moves everything, in the sqlite3 shell, with the nine indexes in place: what
-- somebody does who may stop his application. Everything else is measured against its time.
--
-- The statement is the guide's, but for status: the old column may be NULL and the new one may not,
-- so the guide's own text fails on such a row.
.bail on
.timeout 600000
BEGIN IMMEDIATE;
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
FROM workflow_processes;
COMMIT;
