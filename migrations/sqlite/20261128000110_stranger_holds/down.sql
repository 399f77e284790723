CREATE TABLE holds_old (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL CONSTRAINT holds_user UNIQUE REFERENCES users (id),
    slot_id BLOB NOT NULL,
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    expires_at INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- The slots of the holds that are left out stay held until these lapse.
INSERT INTO holds_old (id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at)
    SELECT id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at FROM holds
    WHERE user_id IS NOT NULL AND place = 0;
DROP TABLE holds;
ALTER TABLE holds_old RENAME TO holds;
