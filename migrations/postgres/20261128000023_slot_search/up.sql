-- A search for one location reads its free slots only, in order.
CREATE INDEX slots_free_location ON slots (location_id, starts_at, id) WHERE appointment_id IS NULL AND blocked_reason IS NULL;
-- A search begins with the practitioners who offer the visit type.
CREATE INDEX practitioner_visit_types_by_type ON practitioner_visit_types (visit_type_id, practitioner_id);
