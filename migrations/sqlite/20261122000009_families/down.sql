DROP TABLE patient_invitations;
