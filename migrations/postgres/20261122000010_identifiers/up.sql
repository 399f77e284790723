-- The numbers that other systems have for patients, practitioners and appointments: each is one object's, and finds it.
CREATE TABLE patient_identifiers (
    system text NOT NULL,
    value text NOT NULL,
    patient_id uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    PRIMARY KEY (system, value)
);

CREATE INDEX patient_identifiers_value ON patient_identifiers (value);
CREATE INDEX patient_identifiers_patient ON patient_identifiers (patient_id);

CREATE TABLE practitioner_identifiers (
    system text NOT NULL,
    value text NOT NULL,
    practitioner_id uuid NOT NULL REFERENCES practitioners (id) ON DELETE CASCADE,
    PRIMARY KEY (system, value)
);

CREATE INDEX practitioner_identifiers_value ON practitioner_identifiers (value);
CREATE INDEX practitioner_identifiers_practitioner ON practitioner_identifiers (practitioner_id);

CREATE TABLE appointment_identifiers (
    system text NOT NULL,
    value text NOT NULL,
    appointment_id uuid NOT NULL REFERENCES appointments (id) ON DELETE CASCADE,
    PRIMARY KEY (system, value)
);

CREATE INDEX appointment_identifiers_value ON appointment_identifiers (value);
CREATE INDEX appointment_identifiers_appointment ON appointment_identifiers (appointment_id);
