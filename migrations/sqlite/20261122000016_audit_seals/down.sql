DROP INDEX intake_flags_owner;
DROP TABLE record_openings;
DROP TRIGGER audit_events_purged_only;
DROP TRIGGER audit_events_no_replace;
DROP TRIGGER audit_events_append_only;
DROP TABLE audit_purges;
DROP TABLE audit_seals;
