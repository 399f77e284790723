DROP TABLE location_closures;
DROP TABLE practitioner_exceptions;
