DROP TABLE consents;
DROP TABLE patient_access;
DROP TABLE patient_name_words;
DROP TABLE patients;
DROP TABLE counters;
