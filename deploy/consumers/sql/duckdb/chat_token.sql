CREATE MACRO source_key(base_url, number) AS left(sha256(base_url || chr(10) || number || chr(10)), 32);

CREATE MACRO chat_token(key, chat) AS (
    SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz234567', (substr(bits, 5 * i + 1, 5)::BIT)::INTEGER + 1, 1),
                      '' ORDER BY i)
    FROM (SELECT from_hex(left(sha256(key || chr(10) || chat), 32))::BIT::VARCHAR || '00' AS bits) AS digest,
         range(26) AS digits(i)
);
