-- The mark of a visit went only with its next move. It goes when the visit is cancelled, or has its time for itself.
UPDATE appointments SET overbooked = false
WHERE overbooked AND (
    status = 'cancelled' OR NOT EXISTS (
        SELECT 1 FROM appointments AS other
        WHERE other.practitioner_id = appointments.practitioner_id AND other.id <> appointments.id AND other.status <> 'cancelled'
            AND other.busy_from < appointments.busy_until AND other.busy_until > appointments.busy_from
    )
);
