ALTER TABLE appointment_links DROP COLUMN address_hash;
