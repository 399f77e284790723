DROP TABLE appointment_identifiers;
DROP TABLE practitioner_identifiers;
DROP TABLE patient_identifiers;
