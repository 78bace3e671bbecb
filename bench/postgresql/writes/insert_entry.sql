\set user random(1, :users)
INSERT INTO journal_entries (user_id, body) SELECT id, 'live' FROM users WHERE email = 'user:user@example.org';
