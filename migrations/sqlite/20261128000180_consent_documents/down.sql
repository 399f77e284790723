DROP TABLE consent_documents;
