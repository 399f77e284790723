CREATE OR REPLACE FUNCTION patients_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, patient_id)
        VALUES ('patient.deleted', 'patient', OLD.id, OLD.id);
        RETURN NULL;
    END IF;
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE TG_OP WHEN 'INSERT' THEN 'patient.created' ELSE 'patient.updated' END,
        'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at
    );
    RETURN NULL;
END $$;
DROP TRIGGER patient_access_active ON patient_access;
DROP TRIGGER waitlist_offers_active ON waitlist_offers;
DROP TRIGGER waitlist_entries_active ON waitlist_entries;
DROP TRIGGER patient_invitations_active ON patient_invitations;
DROP TRIGGER patient_identifiers_active ON patient_identifiers;
DROP TRIGGER lab_results_active ON lab_results;
DROP TRIGGER intakes_active ON intakes;
DROP TRIGGER intake_flags_active ON intake_flags;
DROP TRIGGER follow_ups_active ON follow_ups;
DROP TRIGGER consents_active ON consents;
DROP TRIGGER appointment_series_active ON appointment_series;
DROP TRIGGER appointments_active ON appointments;
DROP FUNCTION patient_active();
DROP TRIGGER patients_replaced_once ON patients;
DROP FUNCTION patients_replaced_once();
DROP TABLE patient_merge_rows;
DROP TABLE patient_merges;
ALTER TABLE patients DROP COLUMN retired_at;
ALTER TABLE patients DROP COLUMN replaced_by;
