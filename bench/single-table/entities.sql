CREATE TABLE entities (
  PK TEXT NOT NULL, SK TEXT NOT NULL, GSI1PK TEXT, GSI1SK TEXT, entityType TEXT NOT NULL,
  id TEXT, email TEXT, name TEXT, role TEXT, createdAt TEXT, company TEXT, sponsorId TEXT,
  sponsorName TEXT, settings JSON,
  PRIMARY KEY (PK, SK)) WITHOUT ROWID;
CREATE INDEX entities_gsi1 ON entities (GSI1PK, GSI1SK);
