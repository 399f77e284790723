-- The numbers that other systems have for patients, practitioners and appointments: each is one object's, and finds it.
CREATE TABLE patient_identifiers (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    patient_id BLOB NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    PRIMARY KEY (system, value)
) STRICT;

CREATE INDEX patient_identifiers_value ON patient_identifiers (value);
CREATE INDEX patient_identifiers_patient ON patient_identifiers (patient_id);

CREATE TABLE practitioner_identifiers (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id) ON DELETE CASCADE,
    PRIMARY KEY (system, value)
) STRICT;

CREATE INDEX practitioner_identifiers_value ON practitioner_identifiers (value);
CREATE INDEX practitioner_identifiers_practitioner ON practitioner_identifiers (practitioner_id);

CREATE TABLE appointment_identifiers (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    appointment_id BLOB NOT NULL REFERENCES appointments (id) ON DELETE CASCADE,
    PRIMARY KEY (system, value)
) STRICT;

CREATE INDEX appointment_identifiers_value ON appointment_identifiers (value);
CREATE INDEX appointment_identifiers_appointment ON appointment_identifiers (appointment_id);
