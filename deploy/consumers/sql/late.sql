SELECT DISTINCT CAST(occurred_at AS date) AS day
FROM messages
WHERE recorded_at > (SELECT max(recorded_at) FROM messages) - INTERVAL '1 day' AND occurred_at IS NOT NULL
ORDER BY day;
