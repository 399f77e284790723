DROP TABLE sign_in_failures;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
