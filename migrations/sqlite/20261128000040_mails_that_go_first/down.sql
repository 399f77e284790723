DROP INDEX messages_due_first;
