DROP TABLE waitlist_entries;
DROP FUNCTION waitlist_entries_event();
