COPY (SELECT *, strftime(recorded_at AT TIME ZONE 'UTC', '%Y-%m-%d') AS recorded_on FROM messages)
TO 'messages' (FORMAT parquet, PARTITION_BY (recorded_on));
