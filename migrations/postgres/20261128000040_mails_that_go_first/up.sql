-- The worker sends these before the mails that strangers can cause in any number, however many of those are due.
CREATE INDEX messages_due_first ON messages (due_at, id)
    WHERE status = 'pending' AND kind NOT IN ('verify_email', 'already_registered', 'verify_new_email');
