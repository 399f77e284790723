DROP TRIGGER visit_types_setup ON visit_types;
DROP TRIGGER practitioners_setup ON practitioners;
DROP TRIGGER practitioner_visit_types_setup ON practitioner_visit_types;
DROP TRIGGER locations_setup ON locations;
DROP TRIGGER visit_type_resources_setup ON visit_type_resources;
DROP TRIGGER resource_units_setup ON resource_units;
DROP FUNCTION setup_changed;
DROP TABLE setup_state;
