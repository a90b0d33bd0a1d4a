CREATE FUNCTION source_key(base_url text, number text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(encode(sha256(convert_to(base_url || E'\n' || number || E'\n', 'UTF8')), 'hex'), 32)
$$;

CREATE FUNCTION chat_token(key text, chat text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz234567',
                             substring(bits FROM 5 * i + 1 FOR 5)::bit(5)::int + 1, 1), '' ORDER BY i)
    FROM (SELECT encode(sha256(convert_to(key || E'\n' || chat, 'UTF8')), 'hex')) AS digest(hex),
         LATERAL (SELECT ('x' || left(hex, 32))::bit(128) || B'00') AS padded(bits),
         generate_series(0, 25) AS digits(i)
$$;
