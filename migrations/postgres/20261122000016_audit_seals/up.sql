-- The chain over the events: each seal's HMAC covers its event and the seal before.
CREATE TABLE audit_seals (
    seq bigint PRIMARY KEY,
    event_id uuid NOT NULL CONSTRAINT audit_seals_event UNIQUE,
    key_id uuid NOT NULL,
    hmac bytea NOT NULL
);

-- What was purged: all seals up to one and their events. Its HMAC is kept, so that the rest of the chain still holds.
CREATE TABLE audit_purges (
    upto_seq bigint PRIMARY KEY,
    closing_hmac bytea NOT NULL,
    at timestamptz NOT NULL,
    key_id uuid NOT NULL,
    mac bytea NOT NULL
);

CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_append_only';
END $$;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE ON audit_seals
FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_purges_append_only BEFORE UPDATE OR DELETE ON audit_purges
FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_purges_no_truncate BEFORE TRUNCATE ON audit_purges
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

-- The one way out: what a purge has written down may go, the events before their seals.
CREATE FUNCTION audit_events_purged_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM audit_seals
        WHERE event_id = OLD.id AND seq <= (SELECT max(upto_seq) FROM audit_purges)
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_append_only';
END $$;

CREATE TRIGGER audit_events_purged_only BEFORE DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_purged_only();

CREATE FUNCTION audit_seals_purged_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.seq <= (SELECT max(upto_seq) FROM audit_purges) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_append_only';
END $$;

CREATE TRIGGER audit_seals_purged_only BEFORE DELETE ON audit_seals
FOR EACH ROW EXECUTE FUNCTION audit_seals_purged_only();

-- Records that a practitioner opened for a reason, having nothing to do with the patient.
CREATE TABLE record_openings (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    patient_id uuid NOT NULL REFERENCES patients (id),
    reason bytea NOT NULL,
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX record_openings_open ON record_openings (user_id, patient_id, expires_at);
CREATE INDEX record_openings_patient ON record_openings (patient_id);

-- Who owns what the patient's answers raised has to do with them.
CREATE INDEX intake_flags_owner ON intake_flags (patient_id, owner_id);
