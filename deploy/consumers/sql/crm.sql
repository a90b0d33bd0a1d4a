CREATE VIEW crm_chats AS
SELECT phone, name, source,
       chat_token(source_key(base_url, number), session_prefix || substr(phone, 2) || '@c.us') AS chat
FROM crm CROSS JOIN lists
UNION ALL
SELECT phone, name, source, chat_token(source_key(base_url, number), phone) AS chat
FROM crm CROSS JOIN lists;
