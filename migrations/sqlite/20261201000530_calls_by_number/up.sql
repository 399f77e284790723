-- The other calls to the same number, for each call of a list.
CREATE INDEX messages_calls_by_number ON messages (phone) WHERE status = 'to_phone';
