-- Which book it is. A copy has the same name, another book never.
CREATE TABLE book (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL CHECK (length(id) > 0)
);
-- Every model of which there ever was an app, as it was first spelt. Their places are in the order of
-- their coming.
CREATE TABLE models (
    space TEXT NOT NULL,
    identity TEXT NOT NULL,
    spelling TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (space, identity)
) WITHOUT ROWID;
-- Every app that holds ports, or once did: then `released_at` says until when. `ports` lists the rows
-- of the table `ports` that are the app's; of a former app, the ports that it had, by role. Who work
-- side by side are at about the same app number, so that what they write lies together.
CREATE TABLE apps (
    space TEXT NOT NULL,
    app_num INTEGER NOT NULL CHECK (typeof(app_num) = 'integer' AND app_num BETWEEN 1 AND 2147483647),
    identity TEXT NOT NULL,
    ports TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at INTEGER CHECK (typeof(updated_at) IN ('integer', 'null')),
    expires_at INTEGER,
    ttl INTEGER,
    notes TEXT,
    released_at INTEGER,
    PRIMARY KEY (space, app_num, identity),
    CHECK ((expires_at IS NULL) = (ttl IS NULL)),
    CHECK (released_at IS NULL OR (expires_at IS NULL AND notes IS NULL))
) WITHOUT ROWID;
CREATE INDEX apps_by_end ON apps (expires_at) WHERE expires_at IS NOT NULL;
-- Who holds what: the one truth of it.
CREATE TABLE ports (
    space TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (typeof(port) = 'integer' AND port BETWEEN 1 AND 65535),
    app_num INTEGER NOT NULL,
    identity TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (space, port)
) WITHOUT ROWID;
-- The last release of each port. It means nothing while somebody holds the port.
CREATE TABLE rests (
    space TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (typeof(port) = 'integer' AND port BETWEEN 1 AND 65535),
    since INTEGER NOT NULL CHECK (typeof(since) = 'integer'),
    model TEXT NOT NULL,
    app_num INTEGER NOT NULL,
    PRIMARY KEY (space, port)
) WITHOUT ROWID;
CREATE INDEX rests_by_time ON rests (space, since);
CREATE TABLE promise_files (
    space TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT NOT NULL,
    promises TEXT NOT NULL,
    PRIMARY KEY (space, source)
) WITHOUT ROWID;
CREATE TABLE pools (
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    first_port INTEGER NOT NULL,
    last_port INTEGER NOT NULL,
    models TEXT NOT NULL,
    PRIMARY KEY (space, name)
) WITHOUT ROWID;
-- What happened, oldest first, without a gap. The last revision is the book's.
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    commit_id BLOB NOT NULL CHECK (typeof(commit_id) = 'blob' AND length(commit_id) = 16),
    at INTEGER NOT NULL CHECK (typeof(at) = 'integer'),
    actor TEXT NOT NULL,
    space TEXT NOT NULL,
    payload TEXT NOT NULL
);
-- What programs written for the former service read.
CREATE VIEW port_configurations AS
SELECT
    max(CASE ports.role WHEN 'backend' THEN ports.port END) AS id,
    models.spelling AS model,
    apps.app_num AS app_num,
    max(CASE ports.role WHEN 'frontend' THEN ports.port END) AS frontend_port,
    max(CASE ports.role WHEN 'backend' THEN ports.port END) AS backend_port,
    1 AS is_available,
    json_object('source', apps.source, 'ports', json_group_object(ports.role, ports.port)) AS metadata_json,
    strftime('%Y-%m-%d %H:%M:%S', (created_at - (created_at % 1000 + 1000) % 1000) / 1000, 'unixepoch')
        || printf('.%03d000', (created_at % 1000 + 1000) % 1000) AS created_at,
    strftime('%Y-%m-%d %H:%M:%S', (changed_at - (changed_at % 1000 + 1000) % 1000) / 1000, 'unixepoch')
        || printf('.%03d000', (changed_at % 1000 + 1000) % 1000) AS updated_at
FROM (
    SELECT *, coalesce(updated_at, created_at) AS changed_at FROM apps
    WHERE space = 'default' AND released_at IS NULL
) AS apps
JOIN models ON models.space = apps.space AND models.identity = apps.identity
JOIN json_each(apps.ports) AS listed
JOIN ports ON ports.space = apps.space AND ports.port = listed.value
    AND ports.app_num = apps.app_num AND ports.identity = apps.identity
GROUP BY apps.app_num, apps.identity;
