DROP INDEX waitlist_entries_account;
