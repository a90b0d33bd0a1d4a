SELECT source, max(sequence) AS reached, max(sequence) - count(DISTINCT sequence) AS missing
FROM messages
GROUP BY source
ORDER BY source;
