\set head random(10000000, 99999999)
\set tail random(100000000000, 999999999999)
INSERT INTO users (id, email) VALUES (':head-0000-4000-8000-:tail', ':head-:tail@live');
