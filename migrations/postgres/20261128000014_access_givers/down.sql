DROP TABLE access_givers;
