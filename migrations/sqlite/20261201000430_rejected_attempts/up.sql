-- How many of the attempts to send a message certainly did not deliver it. The recipient has not been told if all of them did not.
ALTER TABLE messages ADD COLUMN rejected_attempts INTEGER NOT NULL DEFAULT 0;
