-- The name that patients who read Spanish see. Without it, they see the public name.
ALTER TABLE visit_types ADD COLUMN public_name_es text;
