DROP TABLE new_accounts;
