-- When patients are asked how they are after a visit or a change of treatment. The answers are an intake.
CREATE TABLE follow_ups (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    status TEXT NOT NULL CONSTRAINT follow_ups_status
        CHECK (status IN ('scheduled', 'asked', 'answered', 'missed', 'cancelled')),
    reason TEXT NOT NULL CONSTRAINT follow_ups_reason
        CHECK (reason IN ('visit', 'treatment_change', 'other')),
    due_on TEXT NOT NULL,
    -- the day from which the intervals of the next ones count
    counts_from TEXT NOT NULL,
    -- the visit after which it was scheduled
    appointment_id BLOB REFERENCES appointments (id),
    asked_at INTEGER,
    -- until when it can be answered
    answer_by INTEGER,
    -- the answers
    intake_id BLOB REFERENCES intakes (id),
    version INTEGER NOT NULL,
    -- the account whose change scheduled it
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- One at a time.
CREATE UNIQUE INDEX follow_ups_open ON follow_ups (patient_id) WHERE status IN ('scheduled', 'asked');
CREATE INDEX follow_ups_patient ON follow_ups (patient_id, created_at, id);
CREATE INDEX follow_ups_created ON follow_ups (created_at, id);
CREATE INDEX follow_ups_due ON follow_ups (due_on, id) WHERE status = 'scheduled';
CREATE INDEX follow_ups_asked ON follow_ups (answer_by, id) WHERE status = 'asked';

-- The links in the mails that ask. A link answers its one follow-up.
CREATE TABLE follow_up_links (
    id BLOB PRIMARY KEY,
    follow_up_id BLOB NOT NULL REFERENCES follow_ups (id),
    -- the account that it was mailed to, without whose access to the patient it does not work; none where it went to the
    -- address in the record
    user_id BLOB REFERENCES users (id) ON DELETE CASCADE,
    -- whether it was mailed to the patient
    is_patient INTEGER NOT NULL,
    -- SHA-256
    token_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX follow_up_links_token ON follow_up_links (token_hash);
CREATE INDEX follow_up_links_follow_up ON follow_up_links (follow_up_id);
