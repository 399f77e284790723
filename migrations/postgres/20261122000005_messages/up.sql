-- The transactional outbox: a message is written with its cause and sent by a worker.
CREATE TABLE messages (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    status text NOT NULL CONSTRAINT messages_status
        CHECK (status IN ('pending', 'sent', 'failed', 'to_phone', 'done')),
    recipient_name text,
    email text,
    phone text,
    -- the recipient's (BCP 47)
    language text NOT NULL,
    patient_id uuid REFERENCES patients (id),
    appointment_id uuid REFERENCES appointments (id),
    -- what the template needs; sealed
    payload bytea NOT NULL,
    attempts integer NOT NULL,
    -- how often staff had it sent again; makes the Message-ID of each such mail its own
    resends integer NOT NULL,
    -- when it is next due; a worker that takes it moves this ahead by its lease
    due_at timestamptz NOT NULL,
    -- the class of the last failure, without any text of the other side
    last_error text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    -- done by hand: when, by whom (nobody: a newer message took its place), and what they noted; the note is sealed
    done_at timestamptz,
    done_by uuid REFERENCES users (id),
    note bytea,
    CONSTRAINT messages_way CHECK (email IS NOT NULL OR status IN ('to_phone', 'done')),
    CONSTRAINT messages_done CHECK ((status = 'done') = (done_at IS NOT NULL))
);

CREATE INDEX messages_due ON messages (due_at, id) WHERE status = 'pending';
CREATE INDEX messages_failed ON messages (created_at, id) WHERE status = 'failed';
CREATE INDEX messages_to_phone ON messages (created_at, id) WHERE status = 'to_phone';
CREATE INDEX messages_done_by_hand ON messages (created_at, id) WHERE status = 'done';
CREATE INDEX messages_open ON messages (appointment_id) WHERE status IN ('to_phone', 'failed');
CREATE INDEX messages_created ON messages (created_at, id);
CREATE INDEX messages_email ON messages (email, created_at);
