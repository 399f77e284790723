DROP TABLE client_assertions;
DROP TABLE client_secrets;
DROP TABLE clients;
DROP INDEX users_clients;
ALTER TABLE users DROP COLUMN is_client;
