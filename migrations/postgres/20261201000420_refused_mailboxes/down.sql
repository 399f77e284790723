DROP TABLE refused_mailboxes;
