-- The second write and nothing else, one way only: no guard against echoes, no note of what was
-- touched, no care for rows that are not there yet. What links cost is held against this.
CREATE TRIGGER by_hand_insert AFTER INSERT ON workflow_processes BEGIN
    INSERT INTO workflow_runs (
        run_id, workflow_type, description, status,
        max_turns, session_id, git_branch, repository_url,
        created_at, updated_at, started_at, completed_at,
        result_data, error_details, execution_time_ms, total_cost
    )
    VALUES (
        NEW.id, NEW.workflow_name, NEW.message, coalesce(NEW.status, 'pending'),
        NEW.max_turns, NEW.session_name, NEW.git_branch, NEW.repository_url,
        NEW.created_at, NEW.updated_at, NEW.started_at, NEW.completed_at,
        CASE WHEN NEW.result IS NULL THEN '{}' ELSE json_object('result', NEW.result) END,
        CASE WHEN NEW.error_message IS NULL THEN '{}' ELSE json_object('error', NEW.error_message) END,
        NEW.execution_time, NEW.total_cost
    );
END;
CREATE TRIGGER by_hand_status AFTER UPDATE OF status, updated_at ON workflow_processes BEGIN
    UPDATE workflow_runs SET status = coalesce(NEW.status, 'pending'), updated_at = NEW.updated_at
    WHERE run_id = NEW.id;
END;
CREATE TRIGGER by_hand_text AFTER UPDATE OF message, result ON workflow_processes BEGIN
    UPDATE workflow_runs SET description = NEW.message,
        result_data = CASE WHEN NEW.result IS NULL THEN '{}' ELSE json_object('result', NEW.result) END
    WHERE run_id = NEW.id;
END;
CREATE TRIGGER by_hand_delete AFTER DELETE ON workflow_processes BEGIN
    DELETE FROM workflow_runs WHERE run_id = OLD.id;
END;
