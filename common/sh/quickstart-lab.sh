# shellcheck shell=bash
# ./quickstart --lab: the same through emulated networks, by tests/lab/quickstart.py. Needs ui.sh, processes.sh, $root and $work.

# shellcheck disable=SC2034 # quickstart installs them
LAB_PACKAGES=(python3 iproute2 nftables squid-openssl)

lab_check_root() {
    [[ $(id -u) -eq 0 ]] && return 0
    echo "quickstart: --lab needs root: it makes network namespaces" >&2
    exit 2
}

lab_shown=0
# Says what the lab has done since it was last asked; true once all is done.
lab_done() {
    local lines line
    # shellcheck disable=SC2154 # the sourcing script's
    if [[ -e $work/lab/progress ]]; then
        mapfile -t -s "$lab_shown" lines <"$work/lab/progress"
        for line in "${lines[@]}"; do
            say "$line"
        done
        lab_shown=$((lab_shown + ${#lines[@]}))
    fi
    if [[ -e $work/lab/error ]]; then
        die "$(<"$work/lab/error")" "see the log" "$work/lab.log"
    fi
    [[ -e $work/lab/result.json ]]
}

# Sets what the loopback's steps set: controller, meeting, ca, nodes_json, probes_json, assignments_json, media_json.
run_lab() {
    local result=$work/lab/result.json
    rm -rf "$work/lab"
    mkdir "$work/lab"
    # shellcheck disable=SC2154 # the sourcing script's
    start "the lab" "$work/lab.log" TERM KILL /usr/bin/python3 -B "$root/tests/lab/quickstart.py" --folder "$work/lab" \
        --build "$root/build"
    wait_until 180 "the lab" "$work/lab.log" lab_done
    lab_done
    # shellcheck disable=SC2034 # quickstart shows them
    {
        controller=$(jq -r .controller "$result")
        meeting=$(jq -r .meeting "$result")
        ca=$work/lab/ca.pem
        nodes_json=$(jq -c .nodes "$result")
        probes_json=$(jq -c .probes "$result")
        assignments_json=$(jq -c .assignments "$result")
        media_json=$(jq -c .media "$result")
    }
    mv "$work/lab/env" "$work/env"
}

lab_how_to_enter() {
    local enter=${work#"$root/"}/lab/enter
    printf 'In a second terminal, as root, from inside the networks:\n'
    printf '  %s %s build/agent/berth firewall\n' "$enter" alice "$enter" dave
    printf '(bob, carol and controller too; no command: a shell. dave has his proxy set.)\n'
}
