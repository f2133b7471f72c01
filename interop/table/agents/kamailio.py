"""SIPp on all sides as in `sipp`, and Debian's Kamailio between them and the switch: a proxy that stays in the dialog."""

from kit import programs, verdict
from kit.cable import CabledPlace
from table.cast import Party, Play

NEEDS = ("sipp", "kamailio")
TITLE = "Kamailio between"
PACKAGE = "kamailio"
USERS = ("alice", "bob", "carol")
PROXY = "10.77.5.2"
"""Its place is the fifth, after those of the three parties and of the helper."""
SWITCH = "10.77.5.1"
CONFIG = ('127.0.0.0/8, "10.77.0.0/16"', f'routes: [ {{ match: "sip:*@*", to: "sip:{PROXY}:5060" }} ]')
FLOWS = ("scripted", Play)

SETTINGS = """\
#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
tcp_connection_lifetime=60
disable_tcp=yes
auto_aliases=no
listen=udp:{proxy}:5060
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
modparam("rr", "enable_full_lr", 1)

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ if (is_method("INVITE|UPDATE")) record_route(); t_relay(); exit; }}
    if (is_method("ACK") && t_check_trans()) {{ t_relay(); exit; }}
    sl_send_reply("404", "Not Here"); exit;
  }}
  record_route();
  if ($si == "{switch}") {{
    if ($rU == "alice") $du = "sip:10.77.1.2:5060";
    else if ($rU == "bob") $du = "sip:10.77.2.2:5060";
    else if ($rU == "carol") $du = "sip:10.77.3.2:5060";
    else {{ sl_send_reply("404", "Not Found"); exit; }}
  }} else {{
    $du = "sip:{switch}:5060";
  }}
  t_relay();
}}
"""


class Proxy:
    """Started with the first parties, for the whole of the column."""

    place = program = None

    @classmethod
    def start(cls, pump):
        if cls.program:
            return
        cls.place = CabledPlace(pump)
        verdict.equal(cls.place.address, PROXY, "the place of the proxy")
        settings = verdict.SCRATCH / "kamailio.cfg"
        settings.write_text(SETTINGS.format(proxy=PROXY, switch=SWITCH))
        # Its children would outlive it, were they not in a space of processes that ends with its first.
        words = ["unshare", "--pid", "--fork", "--kill-child"]
        words += ["kamailio", "-DD", "-E", "-f", settings, "-m", "64", "-M", "8", "-Y", verdict.SCRATCH, "-w", verdict.SCRATCH]
        cls.program = programs.start(words, verdict.SCRATCH / "kamailio.log", cls.place)
        verdict.wait_for(cls._listens, 10, "kamailio listens")

    @classmethod
    def _listens(cls):
        with open(f"/proc/{cls.place.pid}/net/udp", encoding="ascii") as file:
            return ":13C4 " in file.read()


def prepare(pump):
    """Makes the proxy's place, after those of the parties."""
    Proxy.start(pump)


def phones(places, tones):
    return [Party(place, user, hertz, f"{PROXY}:5060") for place, user, hertz in zip(places, USERS, tones)]


def stop(everybody):
    for party in everybody:
        party.stop()
