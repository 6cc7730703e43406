# SPDX-License-Identifier: GPL-2.0
# What the scripts in this folder share. Sourced, never run.
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

# What tells the cache folder from others, to us and to programs that make backups
# (https://bford.info/cachedir/).
cache_tag=CACHEDIR.TAG

# Makes the cache folder. One that is there and has something else in it is left alone.
make_cache() {
	if [ ! -e "$cache/$cache_tag" ]; then
		# Older ones have no tag.
		if [ -n "$(ls -A "$cache" 2>/dev/null)" ] && [ ! -e "$cache/log/xtask.log" ] && [ ! -e "$cache/log/toolroot.log" ]; then
			die "$cache has other files in it" "name a folder for this alone: KVM_RUST_CACHE=$cache/kvm-arm64-rust"
		fi
		{
			mkdir -p "$cache" &&
				printf 'Signature: 8a477f597d28d172789f06886806bc55\n# Made by KVM/arm64 in Rust; make clean-cache removes it.\n' >"$cache/$cache_tag"
		} 2>/dev/null || die "cannot write to $cache" "set KVM_RUST_CACHE to a folder that you own"
	fi
	[ -w "$cache" ] || die "cannot write to $cache" "set KVM_RUST_CACHE to a folder that you own"
	cache=$(realpath "$cache")
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
	# It does not outlive this shell, however that ends.
	setpriv --pdeathsig KILL unshare "${flags[@]}" "$@"
}
