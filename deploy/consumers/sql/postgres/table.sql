CREATE TABLE messages (
    source      text NOT NULL,
    id          text NOT NULL,
    sequence    bigint NOT NULL,
    direction   text NOT NULL,
    chat        text NOT NULL,
    sent_by     text,
    occurred_at timestamptz,
    recorded_at timestamptz NOT NULL,
    late        boolean NOT NULL,
    repaired    boolean NOT NULL,
    kind        text,
    text        text,
    media_url   text,
    media_mime  text,
    channel     text,
    remote      text,
    participant text,
    group_id    text,
    quoted_uuid text,
    item        jsonb NOT NULL,
    PRIMARY KEY (source, id, recorded_at)  -- a key has to hold what partitions the table; an event has one recorded_at
) PARTITION BY RANGE (recorded_at);

CREATE TABLE messages_2026_11 PARTITION OF messages FOR VALUES FROM ('2026-11-01Z') TO ('2026-12-01Z');
CREATE TABLE messages_others PARTITION OF messages DEFAULT;
CREATE INDEX ON messages (chat, occurred_at);
