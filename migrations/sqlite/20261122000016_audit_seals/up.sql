-- The chain over the events: each seal's HMAC covers its event and the seal before.
CREATE TABLE audit_seals (
    seq INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL CONSTRAINT audit_seals_event UNIQUE,
    key_id BLOB NOT NULL,
    hmac BLOB NOT NULL
) STRICT;

-- What was purged: all seals up to one and their events. Its HMAC is kept, so that the rest of the chain still holds.
CREATE TABLE audit_purges (
    upto_seq INTEGER PRIMARY KEY,
    closing_hmac BLOB NOT NULL,
    at INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
CREATE TRIGGER audit_purges_append_only BEFORE UPDATE ON audit_purges
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
CREATE TRIGGER audit_purges_no_delete BEFORE DELETE ON audit_purges
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;

-- REPLACE deletes without asking the triggers above. A row that is there stays as it is.
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(IGNORE);
END;
CREATE TRIGGER audit_seals_no_replace BEFORE INSERT ON audit_seals
WHEN EXISTS (SELECT 1 FROM audit_seals WHERE seq = NEW.seq OR event_id = NEW.event_id)
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
CREATE TRIGGER audit_purges_no_replace BEFORE INSERT ON audit_purges
WHEN EXISTS (SELECT 1 FROM audit_purges WHERE upto_seq = NEW.upto_seq)
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;

-- The one way out: what a purge has written down may go, the events before their seals.
CREATE TRIGGER audit_events_purged_only BEFORE DELETE ON audit_events
WHEN NOT EXISTS (
    SELECT 1 FROM audit_seals
    WHERE event_id = OLD.id AND seq <= (SELECT max(upto_seq) FROM audit_purges)
)
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
CREATE TRIGGER audit_seals_purged_only BEFORE DELETE ON audit_seals
WHEN OLD.seq > coalesce((SELECT max(upto_seq) FROM audit_purges), 0)
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;

-- Records that a practitioner opened for a reason, having nothing to do with the patient.
CREATE TABLE record_openings (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    patient_id BLOB NOT NULL REFERENCES patients (id),
    reason BLOB NOT NULL,
    opened_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX record_openings_open ON record_openings (user_id, patient_id, expires_at);
CREATE INDEX record_openings_patient ON record_openings (patient_id);

-- Who owns what the patient's answers raised has to do with them.
CREATE INDEX intake_flags_owner ON intake_flags (patient_id, owner_id);
