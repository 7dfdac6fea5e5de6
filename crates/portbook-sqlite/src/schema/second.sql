-- From the first schema to the second, in which an allocation changes half as many pages of the file:
-- `apps` and `ports` are found by their keys alone, a model's spelling is said once, and the last of
-- `changes` says what `head` did.
DROP VIEW port_configurations;
DROP INDEX apps_by_end;
ALTER TABLE apps RENAME TO former_apps;
ALTER TABLE ports RENAME TO former_ports;
ALTER TABLE changes RENAME TO former_changes;
CREATE TABLE book (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL CHECK (length(id) > 0)
);
CREATE TABLE models (
    space TEXT NOT NULL,
    identity TEXT NOT NULL,
    spelling TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (space, identity)
) WITHOUT ROWID;
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
CREATE TABLE ports (
    space TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (typeof(port) = 'integer' AND port BETWEEN 1 AND 65535),
    app_num INTEGER NOT NULL,
    identity TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (space, port)
) WITHOUT ROWID;
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    commit_id BLOB NOT NULL CHECK (typeof(commit_id) = 'blob' AND length(commit_id) = 16),
    at INTEGER NOT NULL CHECK (typeof(at) = 'integer'),
    actor TEXT NOT NULL,
    space TEXT NOT NULL,
    payload TEXT NOT NULL
);
INSERT INTO book SELECT one, book_id FROM head;
INSERT INTO models SELECT space, identity, min(model), min(id) FROM former_apps GROUP BY space, identity;
INSERT INTO apps
SELECT
    space, app_num, identity,
    CASE state
        WHEN 'former' THEN former_ports
        ELSE (
            SELECT json_group_array(port)
            FROM (SELECT port FROM former_ports WHERE app_id = former_apps.id ORDER BY role)
        )
    END,
    source, created_at, nullif(updated_at, created_at), expires_at, ttl, NULL, released_at
FROM former_apps;
-- A port whose app is not there stays taken, and `check` tells of it.
INSERT INTO ports
SELECT former_ports.space, port, coalesce(app_num, 0), coalesce(identity, ''), role
FROM former_ports LEFT JOIN former_apps ON former_apps.id = app_id;
INSERT INTO changes SELECT revision, commit_id, at, actor, space, payload FROM former_changes;
DROP TABLE head;
DROP TABLE former_apps;
DROP TABLE former_ports;
DROP TABLE former_changes;
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
