-- The practitioners who gave, invited to or confirmed an account's access to a patient, now or before. A visit that the account books counts
-- as placed by them.
CREATE TABLE access_givers (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    patient_id BLOB NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    PRIMARY KEY (user_id, patient_id, practitioner_id)
) STRICT;
CREATE INDEX access_givers_patient ON access_givers (patient_id);

INSERT INTO access_givers (user_id, patient_id, practitioner_id)
SELECT a.user_id, a.patient_id, u.practitioner_id FROM patient_access a
    JOIN users u ON u.id IN (a.granted_by, a.verified_by, a.confirmed_by)
    WHERE u.practitioner_id IS NOT NULL
UNION
SELECT h.id, i.patient_id, u.practitioner_id FROM patient_invitations i
    JOIN users h ON h.email_key = i.email_key
    JOIN users u ON u.id = i.invited_by
    WHERE i.used_at IS NOT NULL AND u.practitioner_id IS NOT NULL
UNION
SELECT h.id, p.id, u.practitioner_id FROM audit_events e
    JOIN users h ON h.id = e.object_id
    JOIN patients p ON p.id = e.patient_id
    JOIN users u ON u.id = e.actor_id
    WHERE e.operation IN ('create_patient_access', 'confirm_patient_access') AND u.practitioner_id IS NOT NULL;

UPDATE appointments SET self_placed = 1 WHERE EXISTS (
    SELECT 1 FROM access_givers g
    WHERE g.user_id = appointments.booked_by AND g.patient_id = appointments.patient_id
        AND g.practitioner_id = appointments.practitioner_id
);
