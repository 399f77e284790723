-- Earlier versions accept visits without a mark, so nothing is undone.
SELECT 1;
