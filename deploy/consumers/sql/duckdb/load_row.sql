INSERT INTO messages
SELECT source, id, sequence::BIGINT, data.direction, subject, data.sent_by, data.occurred_at, data.recorded_at,
       coalesce(late, false), coalesce(repaired, false), data.kind, data.text, data.media_url, data.media_mime,
       data.channel, data.remote, data.participant, data."group", data.quoted_uuid, data.item
FROM read_json('events.jsonl', format = 'newline_delimited', columns = {
    source: 'VARCHAR', id: 'VARCHAR', sequence: 'VARCHAR', subject: 'VARCHAR', late: 'BOOLEAN', repaired: 'BOOLEAN',
    data: 'STRUCT(direction VARCHAR, sent_by VARCHAR, kind VARCHAR, text VARCHAR, media_url VARCHAR, media_mime VARCHAR,
        channel VARCHAR, remote VARCHAR, participant VARCHAR, "group" VARCHAR, quoted_uuid VARCHAR,
        occurred_at TIMESTAMPTZ, recorded_at TIMESTAMPTZ, item VARCHAR)'
})
ON CONFLICT DO NOTHING;
