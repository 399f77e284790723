-- Every beginning of every word of every name of a patient, normalised, in the order of a search: by the creation of the record. So a page of
-- a search is one range of this key, however many patients have a name with this beginning.
CREATE TABLE patient_name_prefixes (
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    patient_id BLOB NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    PRIMARY KEY (prefix, created_at, patient_id)
) STRICT, WITHOUT ROWID;

WITH RECURSIVE lengths (length) AS (SELECT 1 UNION ALL SELECT length + 1 FROM lengths WHERE length < 64)
INSERT INTO patient_name_prefixes (prefix, created_at, patient_id)
SELECT DISTINCT substr(word, 1, lengths.length) AS prefix, created_at, patient_id
FROM patient_name_words
JOIN patients ON patients.id = patient_name_words.patient_id
JOIN lengths ON lengths.length <= length(word)
ORDER BY prefix, created_at, patient_id;

CREATE INDEX patient_name_prefixes_patient ON patient_name_prefixes (patient_id);

DROP TABLE patient_name_words;
