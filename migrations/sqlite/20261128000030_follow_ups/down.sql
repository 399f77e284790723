DROP TABLE follow_up_links;
DROP TABLE follow_ups;
