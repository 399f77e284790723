ALTER TABLE appointments DROP COLUMN resources;
DROP TABLE resource_occupancy;
DROP TABLE visit_type_resources;
DROP TABLE resource_units;
DROP TABLE resources;
