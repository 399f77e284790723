-- When the visit was confirmed at its current time. A confirmation is made before the visit begins.
ALTER TABLE appointments ADD COLUMN confirmed_at INTEGER CONSTRAINT appointments_confirmed CHECK (confirmed_at < starts_at);

-- SQLite cannot change the constraints of a table, so the table is made again; no other table refers to it.
CREATE TABLE appointment_history_new (
    id BLOB PRIMARY KEY,
    appointment_id BLOB NOT NULL REFERENCES appointments (id),
    at INTEGER NOT NULL,
    actor_id BLOB REFERENCES users (id),
    action TEXT NOT NULL CONSTRAINT appointment_history_action
        CHECK (action IN ('book', 'reschedule', 'cancel', 'confirm', 'check-in', 'no-show', 'complete', 'undo', 'amend')),
    from_status TEXT,
    to_status TEXT NOT NULL,
    practitioner_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    reason BLOB
) STRICT;

INSERT INTO appointment_history_new (id, appointment_id, at, actor_id, action, from_status, to_status, practitioner_id, location_id, starts_at, ends_at, reason)
    SELECT id, appointment_id, at, actor_id, action, from_status, to_status, practitioner_id, location_id, starts_at, ends_at, reason
    FROM appointment_history;
DROP TABLE appointment_history;
ALTER TABLE appointment_history_new RENAME TO appointment_history;
CREATE INDEX appointment_history_appointment ON appointment_history (appointment_id, id);
