-- Roles, users and what became of them. The newest version is the policy.
CREATE TABLE supertable_role (
  hash     TEXT NOT NULL PRIMARY KEY,
  position BIGINT NOT NULL,
  document TEXT NOT NULL
);

CREATE TABLE supertable_user (
  hash     TEXT NOT NULL PRIMARY KEY,
  position BIGINT NOT NULL,
  document TEXT NOT NULL
);

-- One row per role or user that a change touches: who, when, before and after.
CREATE TABLE supertable_policy (
  version   BIGINT NOT NULL PRIMARY KEY,
  time      TEXT NOT NULL,
  principal TEXT NOT NULL,
  action    TEXT NOT NULL,
  object    TEXT NOT NULL,
  before    TEXT,
  after     TEXT
);

-- What must stay secret and the same for the life of the SuperTable.
CREATE TABLE supertable_secret (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);
