-- When the visit was confirmed at its current time. A confirmation is made before the visit begins.
ALTER TABLE appointments
    ADD COLUMN confirmed_at timestamptz,
    ADD CONSTRAINT appointments_confirmed CHECK (confirmed_at < starts_at);

ALTER TABLE appointment_history
    DROP CONSTRAINT appointment_history_action,
    ADD CONSTRAINT appointment_history_action
        CHECK (action IN ('book', 'reschedule', 'cancel', 'confirm', 'check-in', 'no-show', 'complete', 'undo', 'amend'));
