-- Whether the practitioner placed the visit with themselves: booked it, or moved it from a colleague. Such a visit gives
-- access to clinical data only once the patient is checked in.
ALTER TABLE appointments ADD COLUMN self_placed boolean NOT NULL DEFAULT false;

UPDATE appointments SET self_placed = true WHERE EXISTS (
    SELECT 1 FROM appointment_history h JOIN users u ON u.id = h.actor_id
    WHERE h.appointment_id = appointments.id
        AND h.action IN ('book', 'reschedule')
        AND h.practitioner_id = appointments.practitioner_id
        AND u.practitioner_id = h.practitioner_id
        -- The visit was not with this practitioner directly before,
        AND NOT EXISTS (
            SELECT 1 FROM appointment_history b
            WHERE b.appointment_id = h.appointment_id AND b.practitioner_id = h.practitioner_id AND b.id < h.id
                AND NOT EXISTS (
                    SELECT 1 FROM appointment_history o
                    WHERE o.appointment_id = h.appointment_id AND o.practitioner_id <> h.practitioner_id
                        AND o.id > b.id AND o.id < h.id
                )
        )
        -- and no other account has moved it since.
        AND NOT EXISTS (
            SELECT 1 FROM appointment_history l LEFT JOIN users v ON v.id = l.actor_id
            WHERE l.appointment_id = h.appointment_id AND l.action = 'reschedule' AND l.id > h.id
                AND (v.practitioner_id IS NULL OR v.practitioner_id <> h.practitioner_id)
        )
);

-- The visit through which a flag's owner has it. It counts for a care relationship only with such a visit.
ALTER TABLE intake_flags ADD COLUMN appointment_id uuid REFERENCES appointments (id);

UPDATE intake_flags SET appointment_id = (
    SELECT a.id FROM appointments a
    WHERE a.patient_id = intake_flags.patient_id AND a.practitioner_id = intake_flags.owner_id
        AND a.status <> 'cancelled' AND (NOT a.self_placed OR a.status IN ('checked-in', 'fulfilled'))
    ORDER BY CASE WHEN a.ends_at > intake_flags.raised_at THEN 0 ELSE 1 END, a.starts_at, a.id
    LIMIT 1
) WHERE owner_id IS NOT NULL;

-- Open flags whose visit was cancelled or moved away belong to no practitioner.
UPDATE intake_flags SET owner_id = NULL WHERE acknowledged_at IS NULL AND appointment_id IS NULL;

CREATE INDEX intake_flags_appointment ON intake_flags (appointment_id) WHERE appointment_id IS NOT NULL;
