-- A hold can keep a time for the patient to whom the clinic offers it. SQLite cannot change the constraints of a table, so the table is
-- made again. What units of resources the holds take is kept meanwhile, because it would be deleted with the table.
CREATE TABLE resource_occupancy_kept AS SELECT * FROM resource_occupancy WHERE hold_id IS NOT NULL;
DELETE FROM resource_occupancy WHERE hold_id IS NOT NULL;
CREATE TABLE holds_new (
    id BLOB PRIMARY KEY,
    -- NULL if a caller without an account holds it
    user_id BLOB REFERENCES users (id),
    slot_id BLOB NOT NULL,
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    expires_at INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- which of the account's holds it is, from 0
    place INTEGER NOT NULL DEFAULT 0,
    -- hash of the secret of a caller without an account, and keyed hashes of the caller's address and network, under which it is counted
    secret_hash BLOB,
    caller BLOB,
    network BLOB,
    -- whether a registration carries it
    reserved INTEGER NOT NULL DEFAULT 0,
    -- whether it keeps the time of an offer
    offered INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT holds_place UNIQUE (user_id, place),
    CONSTRAINT holds_secret UNIQUE (secret_hash),
    CONSTRAINT holds_holder CHECK (
        (user_id IS NOT NULL) + (secret_hash IS NOT NULL) + offered = 1
        AND (secret_hash IS NULL) = (caller IS NULL)
        AND (secret_hash IS NULL) = (network IS NULL)
    )
) STRICT;

INSERT INTO holds_new
    (id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at, place, secret_hash, caller, network, reserved)
    SELECT id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at, place, secret_hash, caller, network, reserved FROM holds;
DROP TABLE holds;
ALTER TABLE holds_new RENAME TO holds;
INSERT INTO resource_occupancy SELECT * FROM resource_occupancy_kept;
DROP TABLE resource_occupancy_kept;

CREATE INDEX holds_network ON holds (network, expires_at) WHERE network IS NOT NULL;
CREATE INDEX holds_expires ON holds (expires_at);

-- how many offers lapsed in a row
ALTER TABLE waitlist_entries ADD COLUMN lapses INTEGER NOT NULL DEFAULT 0;
-- when the free times are searched next for the entry
ALTER TABLE waitlist_entries ADD COLUMN search_at INTEGER NOT NULL DEFAULT 0;

-- The order in which times are offered: 'urgent', 'soon', 'routine', the longest wait first.
CREATE INDEX waitlist_entries_queue ON waitlist_entries (urgency DESC, created_at, id) WHERE status = 'waiting' AND lapses < 3;
CREATE INDEX waitlist_entries_search ON waitlist_entries (search_at, id) WHERE status = 'waiting' AND lapses < 3;
CREATE INDEX waitlist_entries_last_day ON waitlist_entries (to_date, id) WHERE status = 'waiting' AND to_date IS NOT NULL;

-- A time that the clinic keeps for a patient who waits, until the patient claims it or the offer ends.
CREATE TABLE waitlist_offers (
    id BLOB PRIMARY KEY,
    entry_id BLOB NOT NULL REFERENCES waitlist_entries (id),
    patient_id BLOB NOT NULL REFERENCES patients (id),
    -- No foreign key: slots are deleted with the practitioner's hours.
    slot_id BLOB NOT NULL,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    status TEXT NOT NULL CONSTRAINT waitlist_offers_status CHECK (status IN ('offered', 'claimed', 'declined', 'lapsed', 'withdrawn')),
    -- how the patient learns of it
    way TEXT NOT NULL CONSTRAINT waitlist_offers_way CHECK (way IN ('mail', 'phone')),
    -- the hold that keeps the time; NULL once it is used up or released
    hold_id BLOB,
    -- the visit that the claim booked or moved
    appointment_id BLOB REFERENCES appointments (id),
    -- NULL if the service made it
    made_by BLOB REFERENCES users (id),
    expires_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT waitlist_offers_order CHECK (ends_at > starts_at),
    CONSTRAINT waitlist_offers_visit CHECK (appointment_id IS NULL OR status = 'claimed'),
    CONSTRAINT waitlist_offers_hold CHECK (hold_id IS NOT NULL OR status <> 'offered')
) STRICT;

CREATE UNIQUE INDEX waitlist_offers_open_patient ON waitlist_offers (patient_id) WHERE status = 'offered';
CREATE UNIQUE INDEX waitlist_offers_open_entry ON waitlist_offers (entry_id) WHERE status = 'offered';
CREATE INDEX waitlist_offers_open ON waitlist_offers (expires_at, id) WHERE status = 'offered';
CREATE INDEX waitlist_offers_held ON waitlist_offers (hold_id) WHERE hold_id IS NOT NULL AND status <> 'offered';
CREATE INDEX waitlist_offers_entry ON waitlist_offers (entry_id, created_at, id);
CREATE INDEX waitlist_offers_patient ON waitlist_offers (patient_id, created_at, id);
CREATE INDEX waitlist_offers_created ON waitlist_offers (created_at, id);
CREATE INDEX waitlist_offers_appointment ON waitlist_offers (appointment_id) WHERE appointment_id IS NOT NULL;

-- Days on which time became free, or becomes free by the clock, while patients wait. A background job offers the times and deletes the
-- rows. Triggers write them in the transaction that frees the time, so no statement can leave them out.
CREATE TABLE freed_times (
    -- Never used again: a job deletes what it has seen.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL if a unit of a resource became free, which any practitioner may need
    practitioner_id BLOB,
    -- the first instant of the day in UTC
    day INTEGER NOT NULL,
    -- from when on it is free
    due_at INTEGER NOT NULL
) STRICT;

CREATE INDEX freed_times_due ON freed_times (due_at, id);

CREATE TRIGGER slots_insert_freed AFTER INSERT ON slots
WHEN NEW.appointment_id IS NULL AND NEW.blocked_reason IS NULL
    AND EXISTS (SELECT 1 FROM waitlist_entries WHERE status = 'waiting' AND lapses < 3)
BEGIN
    INSERT INTO freed_times (practitioner_id, day, due_at)
    VALUES (NEW.practitioner_id, NEW.starts_at - NEW.starts_at % 86400000000, coalesce(NEW.held_until, 0));
END;

CREATE TRIGGER slots_update_freed AFTER UPDATE OF appointment_id, blocked_reason, held_until ON slots
WHEN NEW.appointment_id IS NULL AND NEW.blocked_reason IS NULL
    AND (OLD.appointment_id IS NOT NULL OR OLD.blocked_reason IS NOT NULL OR OLD.held_until IS NOT NEW.held_until)
    AND EXISTS (SELECT 1 FROM waitlist_entries WHERE status = 'waiting' AND lapses < 3)
BEGIN
    INSERT INTO freed_times (practitioner_id, day, due_at)
    VALUES (NEW.practitioner_id, NEW.starts_at - NEW.starts_at % 86400000000, coalesce(NEW.held_until, 0));
END;

CREATE TRIGGER resource_occupancy_delete_freed AFTER DELETE ON resource_occupancy
WHEN EXISTS (SELECT 1 FROM waitlist_entries WHERE status = 'waiting' AND lapses < 3)
BEGIN
    INSERT INTO freed_times (practitioner_id, day, due_at) VALUES (NULL, OLD.busy_from - OLD.busy_from % 86400000000, 0);
END;

-- A visit that the patient gets by another way than an offer ends the wait for one, and withdraws an open offer. A patient who waits for
-- an earlier time than that of a visit goes on waiting.
CREATE TRIGGER appointments_insert_waitlist AFTER INSERT ON appointments
BEGIN
    UPDATE waitlist_entries SET status = 'booked', version = version + 1, updated_at = NEW.created_at
    WHERE patient_id = NEW.patient_id AND visit_type_id = NEW.visit_type_id AND status IN ('waiting', 'offered')
        AND NOT EXISTS (
            SELECT 1 FROM appointments AS later WHERE later.id = waitlist_entries.appointment_id AND later.status <> 'cancelled'
        );
    UPDATE waitlist_offers SET status = 'withdrawn', version = version + 1, updated_at = NEW.created_at
    WHERE patient_id = NEW.patient_id AND status = 'offered'
        AND EXISTS (SELECT 1 FROM waitlist_entries AS entry WHERE entry.id = waitlist_offers.entry_id AND entry.status = 'booked');
END;

CREATE TRIGGER waitlist_offers_insert_event AFTER INSERT ON waitlist_offers
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, practitioner_id, location_id, occurred_at)
    VALUES ('waitlist_offer.created', 'waitlist_offer', NEW.id, NEW.version, NEW.patient_id, NEW.practitioner_id, NEW.location_id, NEW.updated_at);
END;

CREATE TRIGGER waitlist_offers_update_event AFTER UPDATE ON waitlist_offers
WHEN NEW.status <> OLD.status
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, practitioner_id, location_id, occurred_at)
    VALUES (
        'waitlist_offer.' || NEW.status,
        'waitlist_offer', NEW.id, NEW.version, NEW.patient_id, NEW.practitioner_id, NEW.location_id, NEW.updated_at
    );
END;

CREATE TRIGGER waitlist_offers_delete_event AFTER DELETE ON waitlist_offers
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, patient_id, practitioner_id, location_id)
    VALUES ('waitlist_offer.deleted', 'waitlist_offer', OLD.id, OLD.patient_id, OLD.practitioner_id, OLD.location_id);
END;
