-- When the findings of a submitted intake may change by themselves. What decides about it is sealed, so the time is stored. Null: never.
ALTER TABLE intakes ADD COLUMN due_at INTEGER;
-- The rules that computed the findings last, as a number that grows. Null: nothing is stored that rules computed and that counts.
ALTER TABLE intakes ADD COLUMN rule_set INTEGER;

UPDATE intakes SET rule_set = 0 WHERE status IN ('completed', 'amended');

CREATE INDEX intakes_due ON intakes (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX intakes_rule_set ON intakes (rule_set, id) WHERE rule_set IS NOT NULL;
