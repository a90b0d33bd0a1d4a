CREATE TABLE messages (
    source      LowCardinality(String),
    id          String,
    sequence    Int64,
    direction   LowCardinality(String),
    chat        String,
    sent_by     Nullable(String),
    occurred_at Nullable(DateTime64(9, 'UTC')),
    recorded_at DateTime64(9, 'UTC'),
    late        Bool,
    repaired    Bool,
    kind        Nullable(String),
    text        Nullable(String),
    media_url   Nullable(String),
    media_mime  Nullable(String),
    channel     Nullable(String),
    remote      Nullable(String),
    participant Nullable(String),
    group_id    Nullable(String),
    quoted_uuid Nullable(String),
    item        String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (source, id);
