-- From where online registrations were verified, for a day each: limits count the visits of new accounts by address and network.
CREATE TABLE new_accounts (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    caller bytea NOT NULL,
    network bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX new_accounts_network ON new_accounts (network);
CREATE INDEX new_accounts_expiry ON new_accounts (expires_at);
