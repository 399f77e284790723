-- A link whose registration is stored with it would lead to the record of another registration.
DELETE FROM one_time_tokens WHERE purpose = 'first_password' OR registration IS NOT NULL;

ALTER TABLE one_time_tokens
    DROP COLUMN requested_by,
    DROP COLUMN registration,
    DROP CONSTRAINT one_time_tokens_purpose,
    ADD CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'invitation'));
