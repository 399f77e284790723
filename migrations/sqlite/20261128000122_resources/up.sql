-- What visits need beside a practitioner: a room, a device, a chair.
CREATE TABLE resources (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- One of a resource's equal units at a location. Units are never deleted, because past visits have them.
CREATE TABLE resource_units (
    id BLOB PRIMARY KEY,
    resource_id BLOB NOT NULL REFERENCES resources (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    number INTEGER NOT NULL CONSTRAINT resource_units_number_range CHECK (number >= 1),
    -- Whether new visits get it.
    in_use INTEGER NOT NULL,
    CONSTRAINT resource_units_number UNIQUE (resource_id, location_id, number)
) STRICT;

CREATE TABLE visit_type_resources (
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    resource_id BLOB NOT NULL REFERENCES resources (id),
    PRIMARY KEY (visit_type_id, resource_id)
) STRICT;

-- A unit's time that a visit or a hold takes, buffers included. A hold's row counts until the hold lapses; the transaction
-- that takes its place deletes it.
CREATE TABLE resource_occupancy (
    id BLOB PRIMARY KEY,
    unit_id BLOB NOT NULL REFERENCES resource_units (id),
    busy_from INTEGER NOT NULL,
    busy_until INTEGER NOT NULL,
    appointment_id BLOB REFERENCES appointments (id),
    hold_id BLOB REFERENCES holds (id) ON DELETE CASCADE,
    CONSTRAINT resource_occupancy_owner CHECK ((appointment_id IS NULL) <> (hold_id IS NULL)),
    CONSTRAINT resource_occupancy_order CHECK (busy_until > busy_from)
) STRICT;

CREATE INDEX resource_occupancy_unit ON resource_occupancy (unit_id, busy_from);
CREATE INDEX resource_occupancy_appointment ON resource_occupancy (appointment_id) WHERE appointment_id IS NOT NULL;
CREATE INDEX resource_occupancy_hold ON resource_occupancy (hold_id) WHERE hold_id IS NOT NULL;

-- The times of a unit never overlap, so only the nearest that starts before the new one's end can reach into it.
CREATE TRIGGER resource_occupancy_overlap_insert BEFORE INSERT ON resource_occupancy
BEGIN
    SELECT RAISE(ABORT, 'resource_occupancy_overlap')
    WHERE (
        SELECT busy_until FROM resource_occupancy INDEXED BY resource_occupancy_unit
        WHERE unit_id = NEW.unit_id AND busy_from < NEW.busy_until AND id <> NEW.id
        ORDER BY busy_from DESC LIMIT 1
    ) > NEW.busy_from;
END;

CREATE TRIGGER resource_occupancy_overlap_update BEFORE UPDATE ON resource_occupancy
BEGIN
    SELECT RAISE(ABORT, 'resource_occupancy_overlap')
    WHERE (
        SELECT busy_until FROM resource_occupancy INDEXED BY resource_occupancy_unit
        WHERE unit_id = NEW.unit_id AND busy_from < NEW.busy_until AND id <> NEW.id
        ORDER BY busy_from DESC LIMIT 1
    ) > NEW.busy_from;
END;

-- JSON, as it is shown; resource_occupancy has the time of each unit.
ALTER TABLE appointments ADD COLUMN resources TEXT NOT NULL DEFAULT '[]';
