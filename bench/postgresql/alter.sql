-- What the manual leads to: one transaction, and nobody else has the tables meanwhile.
BEGIN;
ALTER TABLE journal_entries DROP CONSTRAINT journal_entries_user_id_fkey;
ALTER TABLE tags DROP CONSTRAINT tags_user_id_fkey;
ALTER TABLE users ALTER id TYPE uuid USING id::uuid;
ALTER TABLE journal_entries ALTER user_id TYPE uuid USING user_id::uuid;
ALTER TABLE tags ALTER user_id TYPE uuid USING user_id::uuid;
ALTER TABLE journal_entries ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE tags ADD FOREIGN KEY (user_id) REFERENCES users (id);
COMMIT;
