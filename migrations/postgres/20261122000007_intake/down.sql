DROP TABLE lab_results;
DROP TABLE intake_flags;
DROP TABLE intake_versions;
DROP TABLE intakes;
