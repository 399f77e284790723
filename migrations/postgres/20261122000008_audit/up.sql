-- What is asked of the service: who, of whose record, how it ended. Rows are added and never changed; a purge removes
-- whole sealed stretches (see audit_purges). Nothing refers to other tables: an event outlives what it speaks of.

-- What signs events and seals; sealed itself, so that it outlives the keys of DATA_KEYS.
CREATE TABLE audit_keys (
    id uuid PRIMARY KEY,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE audit_events (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    -- the account; none where nobody was signed in
    actor_id uuid,
    -- what the account could do at that time
    role text CONSTRAINT audit_events_role CHECK (role IN ('patient', 'front_desk', 'practitioner', 'admin')),
    -- the operation's id in the API's document, or a command
    operation text NOT NULL,
    outcome text NOT NULL CONSTRAINT audit_events_outcome CHECK (outcome IN ('success', 'replayed', 'refused', 'failed')),
    -- the HTTP status of a refusal or failure
    status integer,
    patient_id uuid,
    -- what was read or written; it may be gone
    object_id uuid,
    address text,
    request_id text,
    -- how many requests alike this stands for
    times integer NOT NULL CONSTRAINT audit_events_times CHECK (times > 0),
    key_id uuid NOT NULL,
    -- HMAC of all the columns above
    mac bytea NOT NULL
);

CREATE INDEX audit_events_at ON audit_events (at, id);
CREATE INDEX audit_events_patient ON audit_events (patient_id, at, id) WHERE patient_id IS NOT NULL;
CREATE INDEX audit_events_actor ON audit_events (actor_id, at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_object ON audit_events (object_id, at, id) WHERE object_id IS NOT NULL;
CREATE INDEX audit_events_operation ON audit_events (operation, at, id);
CREATE INDEX audit_events_outcome ON audit_events (outcome, at, id) WHERE outcome <> 'success';
