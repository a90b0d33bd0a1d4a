CREATE FUNCTION whatsapp.source_key(base_url STRING, number STRING) RETURNS STRING
AS (SUBSTR(TO_HEX(SHA256(CONCAT(base_url, '\n', number, '\n'))), 1, 32));

CREATE FUNCTION whatsapp.chat_token(key STRING, chat STRING) RETURNS STRING
AS (LOWER(RTRIM(TO_BASE32(SUBSTR(SHA256(CONCAT(key, '\n', chat)), 1, 16)), '=')));
