"""A mail server for tests: it asks for TLS and for a login, keeps what it takes, and refuses whom it is told to refuse.

Arguments: the folder, the port with STARTTLS, the port with TLS from the first byte. Mail is kept as `mails/N.json`.
Whoever begins with `never` is refused for good, and whoever begins with `later` the first two times.
"""

import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

FOLDER, PLAIN, TLS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
MAILS = os.path.join(FOLDER, "mails")


class Handler:
    asked = {}
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        Handler.asked[address] = Handler.asked.get(address, 0) + 1
        if address.startswith("never"):
            return "550 5.1.1 there is nobody of that name"
        if address.startswith("later") and Handler.asked[address] <= 2:
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Handler.count += 1
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "authenticated": bool(session.authenticated),
            "data": envelope.content.decode("utf-8"),
        }
        path = os.path.join(MAILS, f"{Handler.count}.json")
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(mail, file)
        os.rename(path + ".part", path)
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    good = data.login == b"lifeboat" and data.password == b"secretOfTheMail"
    return AuthResult(success=good, handled=False)


async def main():
    os.makedirs(MAILS, exist_ok=True)
    Handler.count = len(os.listdir(MAILS))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(FOLDER, "cert.pem"), os.path.join(FOLDER, "key.pem"))
    loop = asyncio.get_running_loop()
    one = {"authenticator": login, "auth_required": True, "hostname": "mail.test"}
    starttls = lambda: SMTP(Handler(), tls_context=context, require_starttls=True, **one)
    whole = lambda: SMTP(Handler(), auth_require_tls=False, **one)
    await loop.create_server(whole, "127.0.0.1", TLS, ssl=context)
    await loop.create_server(starttls, "127.0.0.1", PLAIN)
    await asyncio.Event().wait()


asyncio.run(main())
