-- A visit that is moved withdraws an open offer that is not earlier any more, and the patient waits again. The background job frees the
-- offered time.
CREATE TRIGGER appointments_move_waitlist AFTER UPDATE OF starts_at ON appointments
WHEN NEW.starts_at <> OLD.starts_at AND NEW.status = 'booked'
BEGIN
    UPDATE waitlist_offers SET status = 'withdrawn', version = version + 1, updated_at = NEW.updated_at
    WHERE patient_id = NEW.patient_id AND status = 'offered' AND starts_at >= NEW.starts_at
        AND EXISTS (SELECT 1 FROM waitlist_entries AS entry WHERE entry.id = waitlist_offers.entry_id AND entry.appointment_id = NEW.id);
    UPDATE waitlist_entries SET status = 'waiting', search_at = NEW.updated_at, version = version + 1, updated_at = NEW.updated_at
    WHERE appointment_id = NEW.id AND patient_id = NEW.patient_id AND status = 'offered'
        AND NOT EXISTS (SELECT 1 FROM waitlist_offers AS offer WHERE offer.entry_id = waitlist_entries.id AND offer.status = 'offered');
END;
