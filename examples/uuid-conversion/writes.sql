SELECT gen_random_uuid() AS id \gset
INSERT INTO users (id, email) VALUES (':id', ':id@live');
INSERT INTO journal_entries (user_id, body) VALUES (':id', 'live');
UPDATE users SET display_name = 'seen' WHERE id = ':id';
