INSERT INTO messages
SELECT source, id, toInt64(sequence), data.direction, subject, data.sent_by, data.occurred_at, data.recorded_at, late,
       repaired, data.kind, data.text, data.media_url, data.media_mime, data.channel, data.remote,
       data.participant, data.group, data.quoted_uuid, data.item
FROM file('events.jsonl', JSONEachRow, '
    source String, id String, sequence String, subject String, late Bool, repaired Bool,
    data Tuple(
        direction String, sent_by Nullable(String), kind String, text Nullable(String), media_url Nullable(String),
        media_mime Nullable(String), channel Nullable(String), remote Nullable(String), participant Nullable(String),
        `group` Nullable(String), quoted_uuid Nullable(String), occurred_at Nullable(DateTime64(9, \'UTC\')),
        recorded_at DateTime64(9, \'UTC\'), item String)')
SETTINGS date_time_input_format = 'best_effort';
