CREATE TABLE whatsapp.messages (
  source      STRING NOT NULL,
  id          STRING NOT NULL,
  sequence    INT64 NOT NULL,
  direction   STRING NOT NULL,
  chat        STRING NOT NULL,
  sent_by     STRING,
  occurred_at TIMESTAMP,
  recorded_at TIMESTAMP NOT NULL,
  late        BOOL NOT NULL,
  repaired    BOOL NOT NULL,
  kind        STRING,
  text        STRING,
  media_url   STRING,
  media_mime  STRING,
  channel     STRING,
  remote      STRING,
  participant STRING,
  group_id    STRING,
  quoted_uuid STRING,
  item        STRING NOT NULL
)
PARTITION BY DATE(recorded_at)
CLUSTER BY source, chat;

-- Where events arrive: one row an event, its data as JSON.
CREATE TABLE whatsapp.arrived (
  source   STRING NOT NULL,
  id       STRING NOT NULL,
  sequence STRING NOT NULL,
  subject  STRING NOT NULL,
  late     BOOL,
  repaired BOOL,
  data     JSON NOT NULL
);
