-- The links in the mails of offers, each for one recipient.
CREATE TABLE waitlist_offer_links (
    id uuid PRIMARY KEY,
    offer_id uuid NOT NULL REFERENCES waitlist_offers (id),
    -- the account that it was mailed to; NULL for the address in the record
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    -- a keyed digest of the address that it was mailed to: the link ends when the recipient has another one
    address_digest bytea NOT NULL,
    -- SHA-256
    token_hash bytea NOT NULL,
    -- the code in the mail, for browsers without a script: a keyed digest
    code_digest bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX waitlist_offer_links_token ON waitlist_offer_links (token_hash);
CREATE UNIQUE INDEX waitlist_offer_links_code ON waitlist_offer_links (code_digest);
CREATE INDEX waitlist_offer_links_offer ON waitlist_offer_links (offer_id);
