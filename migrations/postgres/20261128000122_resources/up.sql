-- What visits need beside a practitioner: a room, a device, a chair.
CREATE TABLE resources (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- One of a resource's equal units at a location. Units are never deleted, because past visits have them.
CREATE TABLE resource_units (
    id uuid PRIMARY KEY,
    resource_id uuid NOT NULL REFERENCES resources (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    number integer NOT NULL CONSTRAINT resource_units_number_range CHECK (number >= 1),
    -- Whether new visits get it.
    in_use boolean NOT NULL,
    CONSTRAINT resource_units_number UNIQUE (resource_id, location_id, number)
);

CREATE TABLE visit_type_resources (
    visit_type_id uuid NOT NULL REFERENCES visit_types (id),
    resource_id uuid NOT NULL REFERENCES resources (id),
    PRIMARY KEY (visit_type_id, resource_id)
);

-- A unit's time that a visit or a hold takes, buffers included. A hold's row counts until the hold lapses; the transaction
-- that takes its place deletes it.
CREATE TABLE resource_occupancy (
    id uuid PRIMARY KEY,
    unit_id uuid NOT NULL REFERENCES resource_units (id),
    busy_from timestamptz NOT NULL,
    busy_until timestamptz NOT NULL,
    appointment_id uuid REFERENCES appointments (id),
    hold_id uuid REFERENCES holds (id) ON DELETE CASCADE,
    CONSTRAINT resource_occupancy_owner CHECK ((appointment_id IS NULL) <> (hold_id IS NULL)),
    CONSTRAINT resource_occupancy_order CHECK (busy_until > busy_from),
    CONSTRAINT resource_occupancy_overlap EXCLUDE USING gist (unit_id WITH =, tstzrange(busy_from, busy_until) WITH &&)
);

CREATE INDEX resource_occupancy_unit ON resource_occupancy (unit_id, busy_from);
CREATE INDEX resource_occupancy_appointment ON resource_occupancy (appointment_id) WHERE appointment_id IS NOT NULL;
CREATE INDEX resource_occupancy_hold ON resource_occupancy (hold_id) WHERE hold_id IS NOT NULL;

-- JSON, as it is shown; resource_occupancy has the time of each unit.
ALTER TABLE appointments ADD COLUMN resources text NOT NULL DEFAULT '[]';
