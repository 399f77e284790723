-- Confirmations are lost, also from the history.
DELETE FROM appointment_history WHERE action = 'confirm';
ALTER TABLE appointment_history
    DROP CONSTRAINT appointment_history_action,
    ADD CONSTRAINT appointment_history_action
        CHECK (action IN ('book', 'reschedule', 'cancel', 'check-in', 'no-show', 'complete', 'undo', 'amend'));

ALTER TABLE appointments DROP COLUMN confirmed_at;
