-- A verification link belongs to the registration that it was mailed for.
ALTER TABLE one_time_tokens
    -- keyed hash of the address and the caller that registered
    ADD COLUMN requested_by bytea,
    -- sealed: the registration that becomes the account's when the link is followed; NULL where the account holds it already
    ADD COLUMN registration bytea,
    DROP CONSTRAINT one_time_tokens_purpose,
    ADD CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'first_password', 'invitation'));
