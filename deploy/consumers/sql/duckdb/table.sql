CREATE TABLE messages (
    source      VARCHAR NOT NULL,      -- the stream: //2chat.co/whatsapp/NAME
    id          VARCHAR NOT NULL,
    sequence    BIGINT NOT NULL,       -- its place in the stream: 1, 2, 3, … without a gap
    direction   VARCHAR NOT NULL,      -- received, sent or new
    chat        VARCHAR NOT NULL,      -- the event's subject
    sent_by     VARCHAR,
    occurred_at TIMESTAMPTZ,           -- the message's own time; null where it has none
    recorded_at TIMESTAMPTZ NOT NULL,  -- when the connector read it
    late        BOOLEAN NOT NULL,
    repaired    BOOLEAN NOT NULL,
    kind        VARCHAR,               -- with events.data: row
    text        VARCHAR,
    media_url   VARCHAR,
    media_mime  VARCHAR,
    channel     VARCHAR,
    remote      VARCHAR,
    participant VARCHAR,               -- with events.data: row
    group_id    VARCHAR,               -- with events.data: row
    quoted_uuid VARCHAR,
    item        JSON NOT NULL,         -- 2Chat's item
    PRIMARY KEY (source, id)
);
