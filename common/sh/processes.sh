# shellcheck shell=bash
# Background programs that end with the script: at its end in the reverse order, and by a parent-death signal when it is killed.

STARTED_PIDS=()
STARTED_NAMES=()
STARTED_LOGS=()
STARTED_STOPS=()

# start NAME LOG STOP DEATH COMMAND...: STOP ends it in order, DEATH is its parent-death signal. Always from the main shell:
# the parent is the process that forks. A session of its own keeps the terminal's Ctrl-C for the script.
start() {
    local name=$1 log=$2 stop=$3 death=$4
    shift 4
    setsid setpriv --pdeathsig "$death" -- "$@" >"$log" 2>&1 </dev/null &
    STARTED_PIDS+=($!)
    STARTED_NAMES+=("$name")
    STARTED_LOGS+=("$log")
    STARTED_STOPS+=("$stop")
}

# Dies when one of the started programs has ended.
assert_running() {
    local i
    for i in "${!STARTED_PIDS[@]}"; do
        kill -0 "${STARTED_PIDS[i]}" 2>/dev/null ||
            die "${STARTED_NAMES[i]} ended by itself" "see its log for why" "${STARTED_LOGS[i]}"
    done
}

# spare NAME: where it has ended, says so, and what runs on without it is no failure.
spare() {
    local i status=0 how
    for i in "${!STARTED_PIDS[@]}"; do
        [[ ${STARTED_NAMES[i]} == "$1" ]] || continue
        kill -0 "${STARTED_PIDS[i]}" 2>/dev/null && return 0
        wait "${STARTED_PIDS[i]}" 2>/dev/null || status=$?
        how="with status $status"
        ((status <= 128)) || how="by signal $((status - 128))"
        say "$1 ended $how; the others go on (log: ${STARTED_LOGS[i]})"
        unset "STARTED_PIDS[i]" "STARTED_NAMES[i]" "STARTED_LOGS[i]" "STARTED_STOPS[i]"
        STARTED_PIDS=("${STARTED_PIDS[@]}")
        STARTED_NAMES=("${STARTED_NAMES[@]}")
        STARTED_LOGS=("${STARTED_LOGS[@]}")
        STARTED_STOPS=("${STARTED_STOPS[@]}")
        return 0
    done
}

# wait_until SECONDS WHAT LOG COMMAND...: polls COMMAND, as long as every program runs.
wait_until() {
    local limit=$((SECONDS + $1)) what=$2 log=$3
    shift 3
    until "$@"; do
        assert_running
        ((SECONDS < limit)) || die "$what did not come about in time" "see the log; is the machine very busy?" "$log"
        sleep 0.05
    done
}

process_gone() {
    ! kill -0 "$1" 2>/dev/null
}

stop_one() {
    local pid=$1 signal=$2 i
    kill "-$signal" "$pid" 2>/dev/null || return 0
    for ((i = 0; i < 100; i++)); do
        process_gone "$pid" && return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null
}

stop_all() {
    local i
    for ((i = ${#STARTED_PIDS[@]} - 1; i >= 0; i--)); do
        stop_one "${STARTED_PIDS[i]}" "${STARTED_STOPS[i]}"
        wait "${STARTED_PIDS[i]}" 2>/dev/null
    done
    STARTED_PIDS=()
}
