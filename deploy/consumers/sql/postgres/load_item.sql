CREATE TEMPORARY TABLE lines (event jsonb NOT NULL);
-- One column a line: neither of these two characters occurs in JSON.
\copy lines FROM 'events.jsonl' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')

INSERT INTO messages (source, id, sequence, direction, chat, sent_by, occurred_at, recorded_at, late, repaired, text,
    media_url, media_mime, channel, remote, quoted_uuid, item)
SELECT event->>'source', event->>'id', (event->>'sequence')::bigint, substring(event->>'type' FROM '[a-z]+$'),
       event->>'subject', event->>'sentby', (event->>'time')::timestamptz, (event->>'recordedtime')::timestamptz,
       coalesce((event->>'late')::boolean, false), coalesce((event->>'repaired')::boolean, false),
       CASE jsonb_typeof(item->'message') WHEN 'string' THEN item->>'message' ELSE item #>> '{message,text}' END,
       item #>> '{message,media,url}', item #>> '{message,media,mime_type}', item->>'channel_phone_number',
       item->>'remote_phone_number', item #>> '{message,quoted_msg,uuid}', item
FROM lines, LATERAL (SELECT event->'data' AS item) AS data
ON CONFLICT DO NOTHING;

DROP TABLE lines;
