-- Which state of the set-up is current: another random value after each change of what slot searches read of it. A server keeps what it
-- derived from the set-up until the value changes.
CREATE TABLE setup_state (
    id integer PRIMARY KEY CONSTRAINT setup_state_one_row CHECK (id = 1),
    token bytea NOT NULL
);
INSERT INTO setup_state (id, token) VALUES (1, uuid_send(gen_random_uuid()));

CREATE FUNCTION setup_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE setup_state SET token = uuid_send(gen_random_uuid());
    RETURN NULL;
END $$;

CREATE TRIGGER visit_types_setup AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON visit_types
    FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER practitioners_setup AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON practitioners
    FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER practitioner_visit_types_setup AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON practitioner_visit_types
    FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER locations_setup AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON locations
    FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER visit_type_resources_setup AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON visit_type_resources
    FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER resource_units_setup AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON resource_units
    FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
