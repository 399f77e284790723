DROP INDEX intakes_rule_set;
DROP INDEX intakes_due;
ALTER TABLE intakes DROP COLUMN rule_set;
ALTER TABLE intakes DROP COLUMN due_at;
