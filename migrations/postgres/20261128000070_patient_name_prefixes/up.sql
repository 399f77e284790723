-- Every beginning of every word of every name of a patient, normalised, in the order of a search: by the creation of the record. So a page of
-- a search is one range of this key, however many patients have a name with this beginning.
CREATE TABLE patient_name_prefixes (
    prefix text NOT NULL COLLATE "C",
    created_at timestamptz NOT NULL,
    patient_id uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    PRIMARY KEY (prefix, created_at, patient_id)
);

INSERT INTO patient_name_prefixes (prefix, created_at, patient_id)
SELECT DISTINCT left(word, lengths.length), created_at, patient_id
FROM patient_name_words
JOIN patients ON patients.id = patient_name_words.patient_id
CROSS JOIN LATERAL generate_series(1, char_length(word)) AS lengths (length);

CREATE INDEX patient_name_prefixes_patient ON patient_name_prefixes (patient_id);

DROP TABLE patient_name_words;
