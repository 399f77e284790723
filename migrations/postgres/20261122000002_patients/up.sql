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
    -- whether the staff entered or confirmed it; mail goes to no other
    email_confirmed boolean NOT NULL,
    preferred_language text NOT NULL,
    interpreter_needed boolean NOT NULL,
    -- what no search needs: pronouns, gender identity, race, ethnicity, address, emergency contact, insurance
    details bytea NOT NULL,
    -- JSON, as it is shown; patient_identifiers finds it
    identifiers text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
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
    -- when the relation was shown to be true, and by whom of the staff; one's own needs nobody
    verified_at timestamptz,
    verified_by uuid REFERENCES users (id),
    -- who of the staff gave it; NULL where the account made the record itself
    granted_by uuid REFERENCES users (id),
    created_at timestamptz NOT NULL,
    -- the day on which a minor comes of age, and when it begins at the clinic: then the access of others is over
    ends_on date,
    ends_at timestamptz,
    -- when those whom the end concerns were told
    end_told_at timestamptz,
    CONSTRAINT patient_access_end CHECK ((ends_on IS NULL) = (ends_at IS NULL)),
    PRIMARY KEY (user_id, patient_id)
);

CREATE INDEX patient_access_patient ON patient_access (patient_id);
CREATE INDEX patient_access_ending ON patient_access (ends_at) WHERE ends_at IS NOT NULL AND end_told_at IS NULL;
-- An account's holder is one person, and a patient has one account of their own.
CREATE UNIQUE INDEX patient_access_own_account ON patient_access (patient_id) WHERE relation = 'self';
CREATE UNIQUE INDEX patient_access_own_record ON patient_access (user_id) WHERE relation = 'self';

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
