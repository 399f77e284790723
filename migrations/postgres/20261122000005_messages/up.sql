-- The transactional outbox: a message is written with its cause and sent by a worker.
CREATE TABLE messages (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    status text NOT NULL CONSTRAINT messages_status CHECK (status IN ('pending', 'sent', 'failed')),
    recipient text NOT NULL,
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
    sent_at timestamptz
);

CREATE INDEX messages_due ON messages (due_at, id) WHERE status = 'pending';
CREATE INDEX messages_failed ON messages (created_at, id) WHERE status = 'failed';
CREATE INDEX messages_created ON messages (created_at, id);
