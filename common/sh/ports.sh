# shellcheck shell=bash
# Loopback addresses and ports that nobody else uses. SO_REUSEPORT lets a second program of the same user bind a taken port
# without an error, so the kernel's tables are read first, and a lock keeps two quickstarts from choosing the same addresses.

# Sets `loopback` ("127.0.0") to a /24 that no other quickstart holds; the lock stays with descriptor 8 and whoever inherits it.
take_loopback() {
    local n file
    for n in $(seq 0 19); do
        file=/tmp/.berth-quickstart-127.0.$n
        [[ -e $file ]] || (umask 022 && : >"$file") 2>/dev/null || continue
        [[ -r $file ]] || continue
        exec 8<"$file"
        if flock -n 8; then
            loopback=127.0.$n
            ((n == 0)) || say "127.0.0.x is another quickstart's; using $loopback.x"
            return 0
        fi
    done
    die "20 quickstarts seem to be running" "stop some of them, or remove /tmp/.berth-quickstart-127.0.*"
}

# port_busy udp|tcp ADDRESS PORT: whether a socket is bound there (or a listener, for TCP), or to every address.
port_busy() {
    local a b c d port
    IFS=. read -r a b c d <<<"$2"
    port=$(printf %04X "$3")
    awk -v address="$(printf '%02X%02X%02X%02X' "$d" "$c" "$b" "$a")" -v port="$port" -v protocol="$1" '
        FNR > 1 && (protocol == "udp" || $4 == "0A") {
            split($2, local, ":")
            if (local[2] == port && (local[1] == address || local[1] ~ /^0+$/)) found = 1
        }
        END { exit !found }' "/proc/net/$1" "/proc/net/${1}6" 2>/dev/null
}

# port_free udp|tcp PORT ADDRESS...
port_free() {
    local protocol=$1 port=$2 address
    shift 2
    for address in "$@"; do
        ! port_busy "$protocol" "$address" "$port" || return 1
    done
}

# free_port udp|tcp PORT ADDRESS...: prints PORT, or the next one (in steps of 1000, then 1) that is free on every address.
free_port() {
    local protocol=$1 wanted=$2 port step
    shift 2
    for step in 0 1000 2000 3000 4000 4001 4002 4003 4004 4005 4006 4007 4008 4009; do
        port=$((wanted + step))
        port_free "$protocol" "$port" "$@" || continue
        ((step == 0)) || say "$protocol port $wanted is taken; using $port"
        echo "$port"
        return 0
    done
    die "no free $protocol port near $wanted" "see who listens: ss -lntup"
}

# Whether this process may listen on a port below 1024.
can_bind_443() {
    local caps
    [[ $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024) -le 443 ]] && return 0
    caps=$(awk '/^CapEff/ { print $2 }' /proc/self/status)
    (((16#$caps >> 10) & 1))
}
