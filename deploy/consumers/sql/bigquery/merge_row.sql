MERGE whatsapp.messages AS messages
USING (
  SELECT
    source, id, CAST(sequence AS INT64) AS sequence, JSON_VALUE(data, '$.direction') AS direction, subject AS chat,
    JSON_VALUE(data, '$.sent_by') AS sent_by, TIMESTAMP(JSON_VALUE(data, '$.occurred_at')) AS occurred_at,
    TIMESTAMP(JSON_VALUE(data, '$.recorded_at')) AS recorded_at, IFNULL(late, FALSE) AS late,
    IFNULL(repaired, FALSE) AS repaired, JSON_VALUE(data, '$.kind') AS kind, JSON_VALUE(data, '$.text') AS text,
    JSON_VALUE(data, '$.media_url') AS media_url, JSON_VALUE(data, '$.media_mime') AS media_mime,
    JSON_VALUE(data, '$.channel') AS channel, JSON_VALUE(data, '$.remote') AS remote,
    JSON_VALUE(data, '$.participant') AS participant, JSON_VALUE(data, '$.group') AS group_id,
    JSON_VALUE(data, '$.quoted_uuid') AS quoted_uuid, JSON_VALUE(data, '$.item') AS item
  FROM whatsapp.arrived
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, id ORDER BY sequence) = 1
) AS news
ON messages.source = news.source AND messages.id = news.id
WHEN NOT MATCHED THEN INSERT ROW;
