-- until when every access that the staff give to the record needs a second member of the staff: after they changed its e-mail
-- address or birth date, or took the patient's own account off it
ALTER TABLE patients ADD COLUMN guarded_until timestamptz;

-- A link works whether or not the account that it was mailed to may still act for the patient.
ALTER TABLE access_links DROP COLUMN told_id;
