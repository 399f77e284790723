DROP TRIGGER patients_update_event;
CREATE TRIGGER patients_update_event AFTER UPDATE ON patients
WHEN NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES ('patient.updated', 'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at);
END;
DROP TRIGGER patient_access_active_update;
DROP TRIGGER patient_access_active_insert;
DROP TRIGGER waitlist_offers_active_update;
DROP TRIGGER waitlist_offers_active_insert;
DROP TRIGGER waitlist_entries_active_update;
DROP TRIGGER waitlist_entries_active_insert;
DROP TRIGGER patient_invitations_active_update;
DROP TRIGGER patient_invitations_active_insert;
DROP TRIGGER patient_identifiers_active_update;
DROP TRIGGER patient_identifiers_active_insert;
DROP TRIGGER lab_results_active_update;
DROP TRIGGER lab_results_active_insert;
DROP TRIGGER intakes_active_update;
DROP TRIGGER intakes_active_insert;
DROP TRIGGER intake_flags_active_update;
DROP TRIGGER intake_flags_active_insert;
DROP TRIGGER follow_ups_active_update;
DROP TRIGGER follow_ups_active_insert;
DROP TRIGGER consents_active_update;
DROP TRIGGER consents_active_insert;
DROP TRIGGER appointment_series_active_update;
DROP TRIGGER appointment_series_active_insert;
DROP TRIGGER appointments_active_update;
DROP TRIGGER appointments_active_insert;
DROP TRIGGER patients_replaced_once;
DROP TABLE patient_merge_rows;
DROP TABLE patient_merges;
DROP INDEX patients_replaced_by;
ALTER TABLE patients DROP COLUMN retired_at;
ALTER TABLE patients DROP COLUMN replaced_by;
