#!/bin/bash
# Prove that set-up works on a fresh Debian 12: debootstrap one, clone the last commit into it, and
# run `make run` there, twice in two clones. Usage (as root): chroot_test.sh [MAKE_TARGET...]
#
# The fresh system has nothing but make, git and ca-certificates. How this machine reaches its
# package archives and its Python index (apt's and pip's configuration, certificates, proxies) is
# copied from it, whatever it is. KEEP=1 leaves the chroot for a look; CHROOT names it.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
chroot=${CHROOT:-$(mktemp -d /var/tmp/vitrine-chroot.XXXXXX)}
targets=("${@:-run}")

clean_up() {
    for place in src dev proc; do
        umount --lazy "$chroot/$place" 2>/dev/null || true
    done
    if [[ -z ${KEEP:-} ]]; then
        # Never across a mount that is still there.
        rm -rf --one-file-system "$chroot"
    fi
}
trap clean_up EXIT

archive() { # the first archive this machine installs from, without naming it here
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -nE 's/^(deb( \[[^]]*\])?|URIs:) +([^ ]+).*/\3/p' | head -n 1
}

configure() { # make the fresh system reach what this machine reaches
    local item
    rm -f "$chroot/etc/apt/sources.list"
    for item in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d \
        /etc/apt/auth.conf.d /etc/apt/trusted.gpg.d /etc/pip.conf /etc/resolv.conf /etc/hosts \
        /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates \
        /root/.config/pip /root/.npmrc; do
        if [[ -e $item ]]; then
            rm -rf "${chroot:?}$item" # its links are absolute and would lead out of the chroot
            mkdir -p "$chroot$(dirname "$item")"
            cp -aLT "$item" "$chroot$item"
        fi
    done
    mkdir -p "$chroot/src"
    mount --bind "$repository" "$chroot/src"
    mount -t proc proc "$chroot/proc"
    mount --rbind --make-rslave /dev "$chroot/dev"
}

inside() { # run in the fresh system with a bare environment and this machine's proxies
    local passed=() name
    while IFS='=' read -r name _; do
        case $name in
        *_proxy | *_PROXY | SSL_CERT_* | *_CA_BUNDLE | PIP_CERT | PIP_INDEX_URL | \
            PIP_EXTRA_INDEX_URL | PIP_TRUSTED_HOST | PIP_DEFAULT_TIMEOUT | NODE_EXTRA_CA_CERTS)
            passed+=("$name=${!name}")
            ;;
        esac
    done < <(env)
    chroot "$chroot" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        "${passed[@]}" "$@"
}

timed() { # WHAT COMMAND...
    local what=$1 started=$SECONDS
    shift
    "$@"
    echo "chroot_test: $what: $((SECONDS - started)) s"
}

timed "a fresh Debian 12" debootstrap --variant=minbase --include=make,git,ca-certificates \
    bookworm "$chroot" "$(archive)" >"$chroot.log" || { tail "$chroot.log" && exit 1; }
rm -f "$chroot.log"
configure
for unwanted in cargo rustc node npm go pip3 python3 cc; do
    if inside sh -c "command -v $unwanted" >/dev/null; then
        echo "chroot_test: the fresh system has $unwanted" >&2
        exit 1
    fi
done
for clone in first second; do
    inside git -c safe.directory='*' clone --quiet /src "/root/$clone"
    for target in "${targets[@]}"; do
        timed "$clone clone: make $target" inside make -C "/root/$clone" "$target"
    done
done
