-- A visit that is called off, or over, ends the wait for an earlier time than its own, and withdraws an open offer. The background job frees
-- the offered time and tells the patient. A move of the visit changes nothing.
CREATE FUNCTION appointments_ended_waitlist() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE waitlist_offers SET status = 'withdrawn', version = version + 1, updated_at = NEW.updated_at
    WHERE patient_id = NEW.patient_id AND status = 'offered'
        AND EXISTS (SELECT 1 FROM waitlist_entries AS entry WHERE entry.id = waitlist_offers.entry_id AND entry.appointment_id = NEW.id);
    UPDATE waitlist_entries
    SET status = CASE NEW.status WHEN 'cancelled' THEN 'cancelled' ELSE 'expired' END, version = version + 1, updated_at = NEW.updated_at
    WHERE appointment_id = NEW.id AND patient_id = NEW.patient_id AND status IN ('waiting', 'offered');
    RETURN NULL;
END $$;

CREATE TRIGGER appointments_update_waitlist AFTER UPDATE OF status ON appointments
FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.status IN ('cancelled', 'fulfilled', 'noshow'))
EXECUTE FUNCTION appointments_ended_waitlist();
