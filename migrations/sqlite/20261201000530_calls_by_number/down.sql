DROP INDEX messages_calls_by_number;
