-- How many rows the new tables lack, or have otherwise, and how many they have too much. The old
-- side is `main`, the new one `new`.
WITH wanted_entities AS (
  SELECT 'USER#' || id AS PK, 'PROFILE' AS SK, 'EMAIL#' || lower(email) AS GSI1PK,
    'USER#' || id AS GSI1SK, 'USER' AS entityType, id, email, name, role, createdAt,
    NULL AS company, NULL AS sponsorId, NULL AS sponsorName, NULL AS settings FROM users
  UNION ALL
  SELECT 'ROLE#' || role, 'USER#' || id, NULL, NULL, 'ROLE_MEMBER', NULL, NULL, name, NULL, NULL,
    NULL, NULL, NULL, NULL FROM users WHERE role IS NOT NULL
  UNION ALL
  SELECT 'CONTRACTOR#' || c.id, 'PROFILE', 'EMAIL#' || lower(c.email), 'CONTRACTOR#' || c.id,
    'CONTRACTOR', c.id, c.email, NULL, NULL, NULL, c.company, c.sponsorId, u.name, NULL
    FROM contractors AS c LEFT JOIN users AS u ON u.id = c.sponsorId
  UNION ALL
  SELECT 'CONFIG#' || section, 'SETTINGS', NULL, NULL, 'CONFIG', NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, json_group_object(key, value)
    FROM (SELECT * FROM config ORDER BY section, key) GROUP BY section
), wanted_events AS (
  SELECT 'USER#' || userId AS PK, 'EVENT#' || timestamp || '#' || id AS SK,
    'ACTION#' || action AS GSI1PK, timestamp AS GSI1SK, 'AUDIT' AS entityType, id, userId, action,
    detail FROM audit
), wanted_cache AS (
  SELECT 'TOKEN#' || token AS PK, 'USER#' || userId AS SK,
    CAST(strftime('%s', expiresAt) AS INTEGER) AS ttl, 'REFRESH_TOKEN' AS entityType, token,
    userId, expiresAt FROM "refresh-tokens"
)
SELECT (SELECT count(*) FROM (SELECT * FROM wanted_entities EXCEPT SELECT * FROM new.entities))
  + (SELECT count(*) FROM (SELECT * FROM wanted_events EXCEPT SELECT * FROM new.events))
  + (SELECT count(*) FROM (SELECT * FROM wanted_cache EXCEPT SELECT * FROM new.cache))
  + max(0, (SELECT count(*) FROM new.entities) - (SELECT count(*) FROM wanted_entities))
  + max(0, (SELECT count(*) FROM new.events) - (SELECT count(*) FROM wanted_events))
  + max(0, (SELECT count(*) FROM new.cache) - (SELECT count(*) FROM wanted_cache))
