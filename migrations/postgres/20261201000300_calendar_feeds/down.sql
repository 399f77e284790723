DROP INDEX users_of_practitioner;
DROP TABLE calendar_feeds;
