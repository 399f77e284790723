DROP TABLE waitlist_offer_links;
