#!/bin/sh
# Before the files go. dpkg: remove, upgrade NEW-VERSION; rpm: how many will be left.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl disable --now nuthatch.socket nuthatch.service || true
fi
update-alternatives --remove nutcracker /usr/bin/nuthatch
