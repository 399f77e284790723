-- The versions of the texts to consent to that administrators published, each in one or more languages. Never updated.
-- Version 1 is part of the program.
CREATE TABLE consent_documents (
    consent_type TEXT NOT NULL CONSTRAINT consent_documents_type CHECK (consent_type IN ('treatment', 'privacy_notice')),
    version INTEGER NOT NULL CONSTRAINT consent_documents_version CHECK (version >= 2),
    language TEXT NOT NULL,
    text TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    published_by BLOB NOT NULL REFERENCES users (id),
    PRIMARY KEY (consent_type, version, language)
) STRICT, WITHOUT ROWID;
