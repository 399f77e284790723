DROP TABLE slots;
DROP TABLE holds;
DROP TABLE availability;
DROP TABLE practitioner_locations;
DROP TABLE practitioner_visit_types;
DROP TABLE practitioners;
DROP TABLE visit_types;
DROP TABLE locations;
