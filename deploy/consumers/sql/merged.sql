CREATE VIEW merged AS
SELECT *
FROM (
    SELECT messages.*, regexp_replace(source, '-history$', '') AS stream,
           row_number() OVER (PARTITION BY regexp_replace(source, '-history$', ''), id ORDER BY source) AS copy
    FROM messages
) AS copies
WHERE copy = 1;
