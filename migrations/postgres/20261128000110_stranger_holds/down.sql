-- The slots of the holds that are left out stay held until these lapse.
DELETE FROM holds WHERE user_id IS NULL OR place <> 0;
DROP INDEX holds_expires;
DROP INDEX holds_network;
ALTER TABLE holds DROP CONSTRAINT holds_holder;
ALTER TABLE holds DROP CONSTRAINT holds_secret;
ALTER TABLE holds DROP CONSTRAINT holds_place;
ALTER TABLE holds DROP COLUMN reserved;
ALTER TABLE holds DROP COLUMN network;
ALTER TABLE holds DROP COLUMN caller;
ALTER TABLE holds DROP COLUMN secret_hash;
ALTER TABLE holds DROP COLUMN place;
ALTER TABLE holds ADD CONSTRAINT holds_user UNIQUE (user_id);
ALTER TABLE holds ALTER COLUMN user_id SET NOT NULL;
