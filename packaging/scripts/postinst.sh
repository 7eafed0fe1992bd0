#!/bin/sh
# After the files are there. dpkg: configure OLD-VERSION; rpm: how many there are now.
set -e
conf=/etc/nuthatch/nuthatch.yml

case "$1" in
configure) upgraded=$2 ;;
1) upgraded= ;;
2) upgraded=yes ;;
*) exit 0 ;;
esac

# The group that may read the configuration, which may hold passwords.
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers nuthatch.conf
elif ! getent group nuthatch-config >/dev/null; then
	groupadd --system nuthatch-config
fi
if [ -z "$upgraded" ]; then
	chgrp nuthatch-config "$conf"
	chmod 0640 "$conf"
fi

# Where scripts look for nutcracker. A nutcracker that is installed keeps its place.
update-alternatives --install /usr/sbin/nutcracker nutcracker /usr/bin/nuthatch 10

[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if [ -n "$upgraded" ] && systemctl is-active --quiet nuthatch.service; then
	# The running program hands over to the new one, and no client is refused.
	nuthatch ctl -c "$conf" upgrade ||
		echo "nuthatch: the old program goes on; nuthatch ctl -c $conf upgrade tries it again" >&2
fi
