INSERT INTO messages (source, id, sequence, direction, chat, sent_by, occurred_at, recorded_at, late, repaired, text,
    media_url, media_mime, channel, remote, quoted_uuid, item)
SELECT source, id, toInt64(sequence), extract(type, '[a-z]+$'), subject, sentby, time, recordedtime, late, repaired,
       if(JSONType(data, 'message') = 'String', JSONExtract(data, 'message', 'Nullable(String)'),
          JSONExtract(data, 'message', 'text', 'Nullable(String)')),
       JSONExtract(data, 'message', 'media', 'url', 'Nullable(String)'),
       JSONExtract(data, 'message', 'media', 'mime_type', 'Nullable(String)'),
       JSONExtract(data, 'channel_phone_number', 'Nullable(String)'),
       JSONExtract(data, 'remote_phone_number', 'Nullable(String)'),
       JSONExtract(data, 'message', 'quoted_msg', 'uuid', 'Nullable(String)'), data
FROM file('events.jsonl', JSONEachRow, '
    source String, id String, sequence String, type String, subject String, sentby Nullable(String),
    time Nullable(DateTime64(9, \'UTC\')), recordedtime DateTime64(9, \'UTC\'), late Bool, repaired Bool, data String')
SETTINGS date_time_input_format = 'best_effort', input_format_json_read_objects_as_strings = 1;
