-- Which state of the set-up is current: another random value after each change of what slot searches read of it. A server keeps what it
-- derived from the set-up until the value changes.
CREATE TABLE setup_state (
    id INTEGER PRIMARY KEY CONSTRAINT setup_state_one_row CHECK (id = 1),
    token BLOB NOT NULL
) STRICT;
INSERT INTO setup_state (id, token) VALUES (1, randomblob(16));

CREATE TRIGGER visit_types_setup_insert AFTER INSERT ON visit_types BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER visit_types_setup_update AFTER UPDATE ON visit_types BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER visit_types_setup_delete AFTER DELETE ON visit_types BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER practitioners_setup_insert AFTER INSERT ON practitioners BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER practitioners_setup_update AFTER UPDATE ON practitioners BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER practitioners_setup_delete AFTER DELETE ON practitioners BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER practitioner_visit_types_setup_insert AFTER INSERT ON practitioner_visit_types BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER practitioner_visit_types_setup_update AFTER UPDATE ON practitioner_visit_types BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER practitioner_visit_types_setup_delete AFTER DELETE ON practitioner_visit_types BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER locations_setup_insert AFTER INSERT ON locations BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER locations_setup_update AFTER UPDATE ON locations BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER locations_setup_delete AFTER DELETE ON locations BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER visit_type_resources_setup_insert AFTER INSERT ON visit_type_resources BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER visit_type_resources_setup_update AFTER UPDATE ON visit_type_resources BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER visit_type_resources_setup_delete AFTER DELETE ON visit_type_resources BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER resource_units_setup_insert AFTER INSERT ON resource_units BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER resource_units_setup_update AFTER UPDATE ON resource_units BEGIN UPDATE setup_state SET token = randomblob(16); END;
CREATE TRIGGER resource_units_setup_delete AFTER DELETE ON resource_units BEGIN UPDATE setup_state SET token = randomblob(16); END;
