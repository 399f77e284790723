ALTER TABLE visit_types DROP COLUMN public_name_es;
