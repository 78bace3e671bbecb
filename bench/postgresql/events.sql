-- Rows of some 200 bytes, with two indexes beside their key. psql -v rows=N
CREATE TABLE events (
  id bigint PRIMARY KEY,
  account uuid NOT NULL,
  kind varchar(20) NOT NULL,
  amount numeric(12, 2),
  happened timestamptz NOT NULL,
  body text
);
INSERT INTO events
  SELECT n, md5((n % 5000)::text)::uuid, (ARRAY['created', 'paid', 'sent', 'returned'])[n % 4 + 1],
         CASE WHEN n % 50 <> 0 THEN (n::bigint * 7919 % 1000000) / 100.0 END,
         timestamptz '2026-01-01 UTC' + n * interval '1 second', repeat(md5(n::text), 4)
  FROM generate_series(1, :rows) n;
CREATE INDEX events_by_account ON events (account, happened);
CREATE INDEX events_by_kind ON events (kind, amount);
VACUUM ANALYZE events;
