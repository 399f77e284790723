-- The site that asked for a verification link, so that one site cannot use up the links of a mailbox: keyed hash of the e-mail address
-- and the IPv4 address or the IPv6 /48. NULL for other links.
ALTER TABLE one_time_tokens ADD COLUMN requested_from bytea;
