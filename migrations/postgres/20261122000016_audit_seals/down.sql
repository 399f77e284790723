DROP TRIGGER audit_events_purged_only ON audit_events;
DROP TRIGGER audit_events_no_truncate ON audit_events;
DROP TRIGGER audit_events_append_only ON audit_events;
DROP TABLE audit_purges;
DROP TABLE audit_seals;
DROP FUNCTION audit_seals_purged_only();
DROP FUNCTION audit_events_purged_only();
DROP FUNCTION audit_append_only();
