# shellcheck shell=bash
# REST calls by curl. Tokens go over standard input, where other users of the machine can't read them.

# rest METHOD URL TOKEN CA [BODY]: the answer's body in `answer`; false (with the status and body in `answer`) unless it was a 2xx.
rest() {
    local method=$1 url=$2 token=$3 ca=$4 body=${5:-} options=() status
    [[ -z $body ]] || options=(--header 'Content-Type: application/json' --data-binary "$body")
    answer=$(printf 'header = "Authorization: Bearer %s"\n' "$token" |
        curl --config - --silent --show-error --noproxy '*' --max-time 20 --cacert "$ca" --request "$method" \
            --write-out '\n%{http_code}' "${options[@]}" "$url" 2>&1) || return 1
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    [[ $status == 2?? ]] && return 0
    answer="$method $url: $status $answer"
    return 1
}

# ready URL: whether a health listener says so.
ready() {
    curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "$1/readyz"
}
