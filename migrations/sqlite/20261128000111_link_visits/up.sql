-- sealed: the visit that the link of a registration books, or has booked
ALTER TABLE one_time_tokens ADD COLUMN visit BLOB;
