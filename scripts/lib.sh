# SPDX-License-Identifier: GPL-2.0
# What scripts/toolroot and scripts/enter share. Sourced, never run.
# shellcheck shell=bash

# Where everything that is not in the checkout lives: tool root, downloads,
# kernel source, build trees, ccache, logs.
# shellcheck disable=SC2034 # those who source this use it
cache=${KVM_RUST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvm-arm64-rust}

die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
	exit 1
}

note() {
	printf '==> %s\n' "$*" >&2
}

suite=trixie

# Prints the name of the tool root for the packages that $1 (scripts/) lists.
# The name holds a digest of the list, so a changed list makes a new root, and
# two checkouts with one list share theirs.
toolroot_name() {
	local digest
	digest=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1/packages" | sha256sum)
	printf 'toolroot-%s-%s\n' "$suite" "${digest:0:12}"
}

# The machine's proxy and certificate settings for apt, as apt.conf lines.
machine_apt_settings() {
	apt-config dump 2>/dev/null | grep -iE '^Acquire::(http|https)::?.*(proxy|CAInfo|Verify)' || true
}

# Succeeds unless the tool root has something of its own where the folder $1 is.
can_be_shown() {
	case ${1%/}/ in
	/ | /root/ | /bin/* | /boot/* | /dev/* | /etc/* | /lib/* | /lib32/* | /lib64/* | /libx32/* | /proc/* | /run/* | /sbin/* | /sys/* | /usr/* | /var/*) return 1 ;;
	esac
}

# Runs "$@" as root in a mount namespace of its own: really root where the
# caller is, otherwise root of a user namespace that maps the caller's
# subordinate ids. Mounts made there end with the namespace.
as_root() {
	local flags=(--mount --propagation private)
	if [ "$(id -u)" -ne 0 ]; then
		command -v newuidmap >/dev/null ||
			die "newuidmap is missing, so an ordinary user cannot make the tool root" \
				"install the package uidmap, or run as root"
		grep -qE "^($(id -un)|$(id -u)):" /etc/subuid 2>/dev/null ||
			die "user $(id -un) has no subordinate ids in /etc/subuid" \
				"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
		flags+=(--user --map-root-user --map-auto)
	fi
	unshare "${flags[@]}" "$@"
}
