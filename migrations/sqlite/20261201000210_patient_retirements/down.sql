DROP TABLE patient_retirements;
