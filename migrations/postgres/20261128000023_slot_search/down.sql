DROP INDEX practitioner_visit_types_by_type;
DROP INDEX slots_free_location;
