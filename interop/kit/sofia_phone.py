#!/usr/bin/env python3
"""A phone made of Debian's libsofia-sip-ua, which comes without one: commands on stdin, what NUA reports on stdout.

    sofia_phone.py USER SECRET DOMAIN OWN-ADDRESS SWITCH-ADDRESS HERTZ [TRANSPORT [EXPIRES]]

The stack does everything about SIP and about offer and answer; here are only a tone, the menu and the password.
"""

import ctypes
import os
import select
import sys

from tone import Tone

RTP_PORT = 42000
STEP_MS = 20
LIB = ctypes.CDLL("libsofia-sip-ua.so.0")
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, *[ctypes.c_void_p] * 6)
for _name in ("su_root_create", "nua_create", "nua_handle", "tl_find", "nua_handle_make_replaces"):
    getattr(LIB, _name).restype = ctypes.c_void_p
LIB.nua_event_name.restype = ctypes.c_char_p
LIB.sip_headers_as_url_query.restype = ctypes.c_char_p
LIB.su_root_step.argtypes = [ctypes.c_void_p, ctypes.c_long]


class Tag(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_void_p), ("value", ctypes.c_void_p)]


def tag(name):
    """The address of one of the library's tags."""
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(LIB, name)))


def tags(**named):
    """The variable arguments of NUA: pairs of tag and value, ended by two zeros."""
    words = []
    for name, value in named.items():
        text = value.encode() if isinstance(value, str) else value
        words += [tag(name), ctypes.c_char_p(text) if isinstance(text, bytes) else ctypes.c_void_p(text)]
    return [*words, ctypes.c_void_p(0), ctypes.c_void_p(0)]


def found(list_of_tags, name):
    """What a tag of an event holds, as a number; None without it."""
    at = LIB.tl_find(ctypes.c_void_p(list_of_tags), tag(name))
    return Tag.from_address(at).value if at else None


class Phone:
    def __init__(self, user, secret, domain, own, switch, hertz, transport="udp", expires="600"):
        self.user, self.secret, self.domain, self.own = user, secret, domain, own
        self.handles = []
        self.tone = Tone(own, RTP_PORT, int(hertz))
        self._callback = CALLBACK(self._on_event)
        LIB.su_init()
        self.root = ctypes.c_void_p(LIB.su_root_create(None))
        self.identity = f"<sip:{user}@{domain}>"
        words = tags(nutag_url=f"sip:{own}:5060;transport={transport}", soatag_address=own,
                     ntatag_default_proxy=f"sip:{switch}:5060;transport={transport}",
                     siptag_from_str=self.identity, siptag_supported_str="100rel, timer, replaces", nutag_autoack=1,
                     nutag_session_timer=120, nutag_min_se=90, siptag_user_agent_str="sofia-sip")
        self.nua = ctypes.c_void_p(LIB.nua_create(self.root, self._callback, None, *words))
        self.registration = self._handle(self.identity)
        registrar = f"sip:{switch}:5060;transport={transport}"
        self._ask("nua_register", self.registration, nutag_registrar=registrar, siptag_expires_str=expires)
        self.handles.clear()

    def _handle(self, to):
        handle = LIB.nua_handle(self.nua, None, *tags(siptag_to_str=to))
        self.handles.append(handle)
        return handle

    def _ask(self, function, handle, *words, **named):
        getattr(LIB, function)(ctypes.c_void_p(handle), *words, *tags(**named))

    def _call(self, number):
        return self.handles[-1 if number == "last" else int(number)]

    def sdp(self, address=None, mode="sendrecv"):
        return (f"v=0\r\nc=IN IP4 {self.own}\r\nm=audio {RTP_PORT} RTP/AVP 0 8 101\r\nc=IN IP4 {address or self.own}\r\n"
                f"a=rtpmap:101 telephone-event/8000\r\na={mode}\r\n")

    def _on_event(self, event, status, phrase, _nua, _magic, handle, _handle_magic, _sip, list_of_tags):
        name = LIB.nua_event_name(event).decode()
        if name == "nua_i_invite" and handle not in self.handles:
            self.handles.append(handle)
        number = self.handles.index(handle) if handle in self.handles else -1
        print(number, name, status, (phrase or b"").decode(errors="replace"), flush=True)
        if status in (401, 407):
            self._ask("nua_authenticate", handle, nutag_auth=f'Digest:"{self.domain}":{self.user}:{self.secret}')
        if name == "nua_i_terminated" and number >= 0:
            self.handles.remove(handle)
            LIB.nua_handle_destroy(ctypes.c_void_p(handle))
            self.tone.to = self.tone.to if self.handles else None
        if name == "nua_i_state":
            self._on_state(found(list_of_tags, "soatag_remote_sdp_str"))

    def _on_state(self, remote):
        if not remote:
            return
        lines = ctypes.string_at(remote).decode().split("\r\n")
        host = next((line.split()[-1] for line in lines if line.startswith("c=")), None)
        port = next((int(line.split()[1]) for line in lines if line.startswith("m=audio")), 0)
        silent = any(line in ("a=sendonly", "a=inactive") for line in lines) or host == "0.0.0.0"
        self.tone.to = None if silent or not port else (host, port)

    # --- the menu; N is the number of a call, from 0 ---

    def do_call(self, uri, replaces=None):
        more = {"siptag_replaces_str": replaces, "siptag_require_str": "replaces"} if replaces else {}
        self._ask("nua_invite", self._handle(f"<{uri}>"), soatag_user_sdp_str=self.sdp(), **more)

    def do_respond(self, number, status):
        named = {"soatag_user_sdp_str": self.sdp()} if status in ("183", "200") else {}
        if status == "183":
            named["nutag_early_media"] = 1
        phrase = {"180": b"Ringing", "183": b"Session Progress", "200": b"OK", "486": b"Busy Here"}.get(status, b"No")
        self._ask("nua_respond", self._call(number), int(status), ctypes.c_char_p(phrase), **named)

    def do_hold(self, number, style):
        if style == "zero":
            named = {"soatag_user_sdp_str": self.sdp("0.0.0.0"), "soatag_hold": ""}
        else:
            named = {"soatag_user_sdp_str": self.sdp(), "soatag_hold": {"sendonly": "audio", "inactive": "#", "resume": ""}[style]}
        self._ask("nua_invite", self._call(number), **named)

    def do_update(self, number):
        self._ask("nua_update", self._call(number))

    def do_refer(self, number, uri):
        self._ask("nua_refer", self._call(number), siptag_refer_to_str=f"<{uri}>", siptag_referred_by_str=self.identity)

    def do_attended(self, number, other, uri):
        """Transfers call `number` to the far end of call `other`. A handle is its own memory home."""
        home = ctypes.c_void_p(self._call(other))
        replaces = LIB.nua_handle_make_replaces(home, home, 0)
        query = LIB.sip_headers_as_url_query(home, *tags(siptag_replaces=replaces)).decode()
        self.do_refer(number, f"{uri}?{query}")

    def do_bye(self, number):
        self._ask("nua_bye", self._call(number))

    def do_cancel(self, number):
        self._ask("nua_cancel", self._call(number))

    def do_leave(self):
        """Takes the registration back."""
        self._ask("nua_unregister", self.registration)

    def do_forget(self):
        """Every call is over: numbers start at 0 again."""
        for handle in self.handles:
            LIB.nua_handle_destroy(ctypes.c_void_p(handle))
        self.handles.clear()
        self.tone.to = None
        print("forgotten", flush=True)

    def run(self):
        self.tone.start()
        waiting, commands = b"", []
        while True:
            LIB.su_root_step(self.root, STEP_MS)
            if select.select([0], [], [], 0)[0]:
                data = os.read(0, 4096)
                if not data:
                    return
                *lines, waiting = (waiting + data).split(b"\n")
                commands += [line.decode().split() for line in lines]
            while commands and self._does(*commands[0]):
                commands.pop(0)

    def _does(self, name, *words):
        """Whether a command could be carried out: the call that it is about may not have come yet."""
        try:
            getattr(self, f"do_{name}")(*words)
            return True
        except IndexError:
            return name != "respond"


if __name__ == "__main__":
    Phone(*sys.argv[1:]).run()
