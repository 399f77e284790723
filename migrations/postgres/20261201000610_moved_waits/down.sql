DROP TRIGGER appointments_move_waitlist ON appointments;
DROP FUNCTION appointments_moved_waitlist();
