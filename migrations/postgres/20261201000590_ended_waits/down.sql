DROP TRIGGER appointments_update_waitlist ON appointments;
DROP FUNCTION appointments_ended_waitlist();
