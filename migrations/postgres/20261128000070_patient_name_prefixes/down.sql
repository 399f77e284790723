CREATE TABLE patient_name_words (
    patient_id uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    word text NOT NULL COLLATE "C",
    PRIMARY KEY (patient_id, word)
);

-- The beginning of a word finds the same patients as the word.
INSERT INTO patient_name_words (patient_id, word) SELECT patient_id, prefix FROM patient_name_prefixes;

CREATE INDEX patient_name_words_word ON patient_name_words (word, patient_id);

DROP TABLE patient_name_prefixes;
