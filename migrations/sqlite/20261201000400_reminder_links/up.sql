-- The link that switches reminders off belongs to its recipient, as the link to the visit does, and ends in the same way. Those that
-- were mailed before had no recipient.
ALTER TABLE appointment_links ADD COLUMN purpose TEXT NOT NULL DEFAULT 'visit'
    CONSTRAINT appointment_links_purpose CHECK (purpose IN ('visit', 'reminders'));

DROP INDEX reminders_token;
ALTER TABLE reminders DROP COLUMN token_hash;
