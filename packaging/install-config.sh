#!/bin/sh
# The part of `make install` that must never destroy anything: configuration files.
#
# A file that is there is left alone. Who may not write to SYSCONFDIR and installs for himself gets $HOME/.NAME.yml,
# which the programs look for first. As root and into the running system it also makes the users of the units.
set -eu

say() { printf '%s\n' "$*"; }

root=$DESTDIR$SYSCONFDIR
own= live=
if [ -z "$DESTDIR" ]; then
  if [ "$(id -u)" -eq 0 ]; then
    live=yes
  elif ! { mkdir -p "$root" 2>/dev/null && [ -w "$root" ]; }; then
    own=yes
  fi
fi

if [ -n "$live" ] && command -v systemd-sysusers >/dev/null; then
  systemd-sysusers "$SYSUSERSDIR/hookswitch.conf"
fi

# place SOURCE TARGET
place() {
  if [ -e "$2" ] || [ -L "$2" ]; then
    say "kept: $2"
    return
  fi
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2"
  case $1 in
    # The passwords of SIP users stand in it: for root and the switch only.
    */hookswitch.yml)
      chmod 640 "$2"
      [ -z "$live" ] || chgrp hookswitch "$2" || say "no group hookswitch: let the switch read $2"
      ;;
    *) chmod 644 "$2" ;;
  esac
  say "new: $2"
}

for pair in $CONFIG; do
  if [ -n "$own" ]; then
    place "${pair%%:*}" "$HOME/.${pair##*/}"
  else
    place "${pair%%:*}" "$root/${pair#*:}"
  fi
done

if [ -n "$live" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  say "systemctl enable --now hookswitch (the switch) or call-api (in front of OpenSIPS) starts it"
fi
