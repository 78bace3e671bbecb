\set user random(1, :users)
UPDATE users SET display_name = 'seen' WHERE email = 'user:user@example.org';
