# shellcheck shell=bash
# The Debian packages that Berth needs, and how the missing ones get installed. Needs ui.sh, $root, and
# $packages_log: the file that apt-get's output goes to.

# docs/dependencies.md says what each is for.
# shellcheck disable=SC2034 # used by the scripts that source this
BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libssl-dev libsodium-dev libjansson-dev
    libcurl4-openssl-dev libpq-dev libinih-dev libsystemd-dev libh2o-evloop-dev
    libwslay-dev libpacparser-dev libmaxminddb-dev libsrtp2-dev)
# shellcheck disable=SC2034
RUN_PACKAGES=(postgresql postgresql-client openssl curl jq)
# shellcheck disable=SC2034
CHECK_PACKAGES=(git clang clang-format clang-tidy libclang-rt-14-dev shellcheck libcmocka-dev
    g++ python3 python3-pytest python3-jwt python3-websockets python3-aiortc iproute2 procps groff-base
    coturn libre-dev nftables squid-openssl tinyproxy-bin krb5-kdc krb5-admin-server krb5-user
    dnsmasq-base isc-dhcp-client sslscan systemd python3-seccomp faketime tshark)
# shellcheck disable=SC2034
SOAK_PACKAGES=(patroni etcd-server)

package_installed() {
    case $1 in
    postgresql) # any server will do
        compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return 0
        ;;
    postgresql-client)
        command -v psql >/dev/null && return 0
        ;;
    squid-openssl) # it would replace another build of squid
        [[ -x /usr/sbin/squid ]] && return 0
        ;;
    esac
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# install_missing PACKAGE...: nothing at all when all are there.
install_missing() {
    local package missing=() as=()
    command -v dpkg-query >/dev/null ||
        die "this is not a Debian system" "install the counterparts of these packages by hand: $*"
    for package in "$@"; do
        package_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null ||
            die "packages are missing, and only root can install them" "as root: apt-get install ${missing[*]}"
        as=(sudo)
        [[ -t 0 ]] || as=(sudo -n)
    fi
    # A session of its own that watches for our end: it lets dpkg finish and puts back what it changed, whatever becomes of us.
    # shellcheck disable=SC2154 # the sourcing script's
    "${as[@]}" "$root/common/sh/install-packages" "$$" "${missing[@]}" >"$packages_log" 2>&1 9>&- 8>&- ||
        die "installing packages failed" "see the log; by hand (as root): apt-get install ${missing[*]}" "$packages_log"
}
