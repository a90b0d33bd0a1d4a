"""Reckons the token of a chat, which is the attribute subject of its events, under privacy.identifiers: hashed.

python chat_token.py +595981048477 WW-WPN154920b3-111b-4424-9ce9-f17cc1c9ca62-595981111111@c.us
"""

import base64
import hashlib
import hmac
import re
import sys


def base32(digest):
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def source_key(base_url, number, remote=""):
    """Identifies a message list: the API, the connected number, and the stream's remote where it has one."""
    text = "\n".join((base_url.rstrip("/"), number, remote))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def chat_token(key, chat):
    """The token of a chat: its session_key, else its remote_phone_number, else nothing."""
    return base32(hashlib.sha256(f"{key}\n{chat or 'none'}".encode()).digest())


def pseudonym(secret, identifier):
    """The same under privacy.identifiers: pseudonymous, with the bytes of privacy.key_file. It is also what stands in
    data for a number: +595981111111, 595981111111 and 595981111111@c.us have one pseudonym, a session_key another.
    """
    identifier = re.sub(r"(?<=.)@(c\.us|s\.whatsapp\.net)$", "", identifier.removeprefix("+"))
    return base32(hmac.digest(secret, b"identifier\n" + identifier.encode(), "sha256"))


if __name__ == "__main__":
    number, chat = sys.argv[1:]
    print(chat_token(source_key("https://api.p.2chat.io", number), chat))
