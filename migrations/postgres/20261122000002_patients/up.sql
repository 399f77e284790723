-- The next number of a running series, such as the medical record number.
CREATE TABLE counters (
    name text PRIMARY KEY,
    value bigint NOT NULL
);

INSERT INTO counters (name, value) VALUES ('mrn', 1000);

CREATE TABLE patients (
    id uuid PRIMARY KEY,
    mrn text NOT NULL CONSTRAINT patients_mrn UNIQUE,
    -- NULL only for a mononym
    given_name text,
    family_name text NOT NULL,
    middle_name text,
    preferred_name text,
    previous_names text,
    date_of_birth date NOT NULL,
    administrative_sex text NOT NULL CONSTRAINT patients_administrative_sex
        CHECK (administrative_sex IN ('male', 'female', 'other', 'unknown')),
    phone text,
    -- the digits of the phone number, last first: found by how it ends
    phone_reversed text COLLATE "C",
    email text,
    -- in small letters: by it and by phone and birth date likely duplicates are found
    email_key text,
    preferred_language text NOT NULL,
    interpreter_needed boolean NOT NULL,
    -- what no search needs: pronouns, gender identity, race, ethnicity, address, emergency contact, insurance
    details bytea NOT NULL,
    -- JSON, as it is shown; patient_identifiers finds it
    identifiers text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT patients_contact CHECK (phone IS NOT NULL OR email IS NOT NULL)
);

CREATE INDEX patients_created ON patients (created_at, id);
CREATE INDEX patients_updated ON patients (updated_at, id);
CREATE INDEX patients_date_of_birth ON patients (date_of_birth);
CREATE INDEX patients_phone ON patients (phone_reversed);
CREATE INDEX patients_email ON patients (email_key);

-- Every word of every name of a patient, normalised; a search word matches as a prefix.
CREATE TABLE patient_name_words (
    patient_id uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    word text NOT NULL COLLATE "C",
    PRIMARY KEY (patient_id, word)
);

CREATE INDEX patient_name_words_word ON patient_name_words (word, patient_id);

-- Which account may act for which patient.
CREATE TABLE patient_access (
    user_id uuid NOT NULL REFERENCES users (id),
    patient_id uuid NOT NULL REFERENCES patients (id),
    relation text NOT NULL CONSTRAINT patient_access_relation
        CHECK (relation IN ('self', 'parent', 'guardian', 'caregiver')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, patient_id)
);

CREATE INDEX patient_access_patient ON patient_access (patient_id);

-- Never updated: a change of mind is a new row.
CREATE TABLE consents (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    consent_type text NOT NULL CONSTRAINT consents_type CHECK (consent_type IN ('treatment', 'privacy_notice')),
    document_version text NOT NULL,
    decision text NOT NULL CONSTRAINT consents_decision CHECK (decision IN ('accepted', 'declined', 'not_obtained')),
    method text NOT NULL CONSTRAINT consents_method CHECK (method IN ('online', 'paper', 'verbal')),
    signer text NOT NULL,
    recorded_by uuid REFERENCES users (id),
    signed_at timestamptz NOT NULL
);

CREATE INDEX consents_patient ON consents (patient_id, signed_at, id);
