ALTER TABLE follow_ups DROP COLUMN cancelled_by_visit;
ALTER TABLE follow_ups DROP COLUMN planned_by_service;
