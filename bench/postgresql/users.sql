-- Users with keys that are texts, and twice as many rows that refer to them. psql -v users=N
CREATE TABLE users (
  id varchar(36) PRIMARY KEY,
  email text UNIQUE NOT NULL,
  display_name text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE journal_entries (
  id bigserial PRIMARY KEY,
  user_id varchar(36) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  body text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tags (
  id bigserial PRIMARY KEY,
  user_id varchar(36) NOT NULL REFERENCES users (id),
  name text
);
INSERT INTO users (id, email)
  SELECT md5(n::text)::uuid::text, 'user' || n || '@example.org' FROM generate_series(1, :users) n;
INSERT INTO journal_entries (user_id, body)
  SELECT md5((n * 7919::bigint % :users + 1)::text)::uuid::text, repeat('entry ', 8) || n
  FROM generate_series(1, :users) n;
INSERT INTO tags (user_id, name)
  SELECT md5((n * 104729::bigint % :users + 1)::text)::uuid::text, 'tag ' || n % 20
  FROM generate_series(1, :users) n;
CREATE INDEX journal_by_user ON journal_entries (user_id, created_at DESC);
CREATE INDEX tags_by_user ON tags (user_id, name);
VACUUM ANALYZE;
