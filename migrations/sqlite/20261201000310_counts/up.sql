-- Whether it was cancelled after the visit type's notice, while the practitioner's hours covered it. For visits from before, the notice is
-- the one of today.
ALTER TABLE appointments ADD COLUMN late_cancelled INTEGER NOT NULL DEFAULT 0;
UPDATE appointments SET late_cancelled = 1
WHERE status = 'cancelled' AND EXISTS (
    SELECT 1 FROM appointment_history h, visit_types v
    WHERE h.appointment_id = appointments.id AND h.action = 'cancel' AND h.from_status = 'booked' AND v.id = appointments.visit_type_id
      AND h.at > appointments.starts_at - v.cancel_notice_minutes * 60000000
);
CREATE INDEX appointments_missed ON appointments (patient_id) WHERE status = 'noshow' OR late_cancelled;
CREATE INDEX waitlist_offers_claimed ON waitlist_offers (starts_at) WHERE status = 'claimed';
