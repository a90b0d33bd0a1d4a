CREATE TEMPORARY TABLE lines (event jsonb NOT NULL);
-- One column a line: neither of these two characters occurs in JSON.
\copy lines FROM 'events.jsonl' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')

INSERT INTO messages
SELECT event->>'source', event->>'id', (event->>'sequence')::bigint, data->>'direction', event->>'subject',
       data->>'sent_by', (data->>'occurred_at')::timestamptz, (data->>'recorded_at')::timestamptz,
       coalesce((event->>'late')::boolean, false), coalesce((event->>'repaired')::boolean, false),
       data->>'kind', data->>'text', data->>'media_url', data->>'media_mime', data->>'channel', data->>'remote',
       data->>'participant', data->>'group', data->>'quoted_uuid', (data->>'item')::jsonb
FROM lines, LATERAL (SELECT event->'data' AS data) AS row
ON CONFLICT DO NOTHING;

DROP TABLE lines;
