\set tag random(1, :users)
DELETE FROM tags WHERE id = :tag;
