CREATE TABLE users (
  id varchar(36) PRIMARY KEY,
  email text UNIQUE NOT NULL,
  display_name text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE journal_entries (
  id serial PRIMARY KEY,
  user_id varchar(36) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  body text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tags (
  id serial PRIMARY KEY,
  user_id varchar(36) REFERENCES users (id) ON DELETE SET NULL,
  name text,
  UNIQUE (user_id, name)
);
CREATE TABLE reminders (
  id serial PRIMARY KEY,
  user_id varchar(36) NOT NULL REFERENCES users (id),
  due timestamptz
);
CREATE INDEX journal_by_user ON journal_entries (user_id, created_at DESC);
CREATE INDEX open_reminders ON reminders (user_id) WHERE due IS NOT NULL;
CREATE VIEW active_users AS
  SELECT u.id, u.email, count(j.id) AS entries
  FROM users u LEFT JOIN journal_entries j ON j.user_id = u.id
  GROUP BY u.id, u.email;
COMMENT ON COLUMN users.id IS 'given by the application';

INSERT INTO users (id, email)
  SELECT gen_random_uuid()::text, 'user' || n || '@example.org' FROM generate_series(1, 5000) n;
INSERT INTO journal_entries (user_id, body)
  SELECT id, 'entry ' || n FROM users, generate_series(1, 2) n;
INSERT INTO tags (user_id, name) SELECT id, 'reader' FROM users;
INSERT INTO reminders (user_id, due)
  SELECT id, CASE WHEN random() < 0.5 THEN now() + interval '1 day' END FROM users;
ANALYZE;
