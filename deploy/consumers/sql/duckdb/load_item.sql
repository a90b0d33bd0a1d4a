INSERT INTO messages BY NAME
SELECT source, id, sequence::BIGINT AS sequence, regexp_extract(type, '[a-z]+$') AS direction, subject AS chat,
       sentby AS sent_by, time AS occurred_at, recordedtime AS recorded_at,
       coalesce(late, false) AS late, coalesce(repaired, false) AS repaired,
       CASE json_type(data, '$.message') WHEN 'VARCHAR' THEN data->>'$.message'
                                         ELSE data->>'$.message.text' END AS text,
       data->>'$.message.media.url' AS media_url, data->>'$.message.media.mime_type' AS media_mime,
       data->>'$.channel_phone_number' AS channel, data->>'$.remote_phone_number' AS remote,
       data->>'$.message.quoted_msg.uuid' AS quoted_uuid, data AS item
FROM read_json('events.jsonl', format = 'newline_delimited', columns = {
    source: 'VARCHAR', id: 'VARCHAR', sequence: 'VARCHAR', type: 'VARCHAR', subject: 'VARCHAR', sentby: 'VARCHAR',
    time: 'TIMESTAMPTZ', recordedtime: 'TIMESTAMPTZ', late: 'BOOLEAN', repaired: 'BOOLEAN', data: 'JSON'
})
ON CONFLICT DO NOTHING;
