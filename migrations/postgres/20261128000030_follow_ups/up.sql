-- When patients are asked how they are after a visit or a change of treatment. The answers are an intake.
CREATE TABLE follow_ups (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    status text NOT NULL CONSTRAINT follow_ups_status
        CHECK (status IN ('scheduled', 'asked', 'answered', 'missed', 'cancelled')),
    reason text NOT NULL CONSTRAINT follow_ups_reason
        CHECK (reason IN ('visit', 'treatment_change', 'other')),
    due_on date NOT NULL,
    -- the day from which the intervals of the next ones count
    counts_from date NOT NULL,
    -- the visit after which it was scheduled
    appointment_id uuid REFERENCES appointments (id),
    asked_at timestamptz,
    -- until when it can be answered
    answer_by timestamptz,
    -- the answers
    intake_id uuid REFERENCES intakes (id),
    version integer NOT NULL,
    -- the account whose change scheduled it
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- One at a time.
CREATE UNIQUE INDEX follow_ups_open ON follow_ups (patient_id) WHERE status IN ('scheduled', 'asked');
CREATE INDEX follow_ups_patient ON follow_ups (patient_id, created_at, id);
CREATE INDEX follow_ups_created ON follow_ups (created_at, id);
CREATE INDEX follow_ups_due ON follow_ups (due_on, id) WHERE status = 'scheduled';
CREATE INDEX follow_ups_asked ON follow_ups (answer_by, id) WHERE status = 'asked';

-- The links in the mails that ask. A link answers its one follow-up.
CREATE TABLE follow_up_links (
    id uuid PRIMARY KEY,
    follow_up_id uuid NOT NULL REFERENCES follow_ups (id),
    -- the account that it was mailed to, without whose access to the patient it does not work; none where it went to the
    -- address in the record
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    -- whether it was mailed to the patient
    is_patient boolean NOT NULL,
    -- SHA-256
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX follow_up_links_token ON follow_up_links (token_hash);
CREATE INDEX follow_up_links_follow_up ON follow_up_links (follow_up_id);
