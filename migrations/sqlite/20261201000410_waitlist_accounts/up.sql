-- An account gets one offer at a time.
CREATE INDEX waitlist_entries_account ON waitlist_entries (created_by);
