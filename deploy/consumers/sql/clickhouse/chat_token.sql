CREATE OR REPLACE FUNCTION source_key AS (base_url, number) ->
    lower(hex(substring(SHA256(concat(base_url, '\n', number, '\n')), 1, 16)));

CREATE OR REPLACE FUNCTION chat_token AS (key, chat) ->
    lower(replaceAll(base32Encode(substring(SHA256(concat(key, '\n', chat)), 1, 16)), '=', ''));
