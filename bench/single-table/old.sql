CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL, name TEXT, role TEXT, createdAt TEXT);
CREATE TABLE contractors (id TEXT PRIMARY KEY, email TEXT NOT NULL, company TEXT, sponsorId TEXT);
CREATE TABLE "refresh-tokens" (token TEXT PRIMARY KEY, userId TEXT NOT NULL, expiresAt TEXT NOT NULL);
CREATE TABLE audit (
  id TEXT PRIMARY KEY, userId TEXT NOT NULL, timestamp TEXT NOT NULL, action TEXT NOT NULL,
  detail TEXT);
CREATE TABLE config (section TEXT, key TEXT, value TEXT, PRIMARY KEY (section, key));

-- What the application asks in each transaction: which side it writes to, and whether it may.
CREATE TABLE flags (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO flags VALUES ('side', 'old'), ('read_only', 'no');
