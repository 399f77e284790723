-- Whether the service planned it: after a visit, or after one that was answered or missed. Only such a one is replaced when a visit is completed.
ALTER TABLE follow_ups ADD COLUMN planned_by_service boolean NOT NULL DEFAULT false;
-- The visit whose completion cancelled it. An undo of the completion plans it again.
ALTER TABLE follow_ups ADD COLUMN cancelled_by_visit uuid REFERENCES appointments (id);

UPDATE follow_ups SET planned_by_service = (
    reason = 'visit' OR EXISTS (
        SELECT 1 FROM follow_ups AS earlier
        WHERE earlier.patient_id = follow_ups.patient_id AND earlier.reason = follow_ups.reason
            AND earlier.counts_from = follow_ups.counts_from AND earlier.status IN ('answered', 'missed')
            AND earlier.due_on < follow_ups.due_on
    )
);
