# shellcheck shell=bash
# What the scripts tell people: progress on stderr, failures with the end of the log, and aligned tables.

START_S=$SECONDS

say() {
    printf '%4ds  %s\n' "$((SECONDS - START_S))" "$*" >&2
}

# die WHAT TODO [LOG]: what failed, what to do about it, and the last lines of the log that knows more.
# A script may set on_death to a function that wants to know (it gets WHAT).
on_death=
die() {
    local what=$1 todo=$2 log=${3:-}
    {
        echo
        echo "FAILED: $what"
        if [[ -s $log ]]; then
            echo "--- the end of $log"
            tail -n 25 "$log"
            echo "---"
        fi
        echo "What to do: $todo"
    } >&2
    if [[ -n $on_death ]]; then
        "$on_death" "$what"
    fi
    exit 1
}

# Reads lines of tab-separated cells and aligns them.
table() {
    awk -F '\t' '
        { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) }; cells[NR] = NF }
        END { for (r = 1; r <= NR; r++) { line = " "
                for (i = 1; i <= cells[r]; i++) line = line sprintf(i < cells[r] ? " %-*s " : " %s", \
                    i < cells[r] ? width[i] : cell[r, i], cell[r, i])
                print line } }' | sed 's/ *$//'
}
