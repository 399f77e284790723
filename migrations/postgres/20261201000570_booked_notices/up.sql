-- How long before the start patients may cancel or move the visit online: the notice of its type when it was booked or last moved. For
-- visits from before, the notice is the one of today.
ALTER TABLE appointments ADD COLUMN cancel_notice_minutes integer NOT NULL DEFAULT 0
    CONSTRAINT appointments_cancel_notice CHECK (cancel_notice_minutes >= 0);
UPDATE appointments SET cancel_notice_minutes = (SELECT v.cancel_notice_minutes FROM visit_types v WHERE v.id = appointments.visit_type_id);
