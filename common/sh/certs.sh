# shellcheck shell=bash
# A certificate authority for trying things out, and certificates from it, by the openssl command.

# make_ca FOLDER: ca.pem and ca.key, kept as long as they are valid for another month.
make_ca() {
    local folder=$1
    mkdir -p "$folder"
    if [[ -s $folder/ca.key ]] && openssl x509 -in "$folder/ca.pem" -noout -checkend 2592000 >/dev/null 2>&1; then
        return 0
    fi
    rm -f "$folder"/ca.*
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 365 \
        -subj "/CN=Berth quickstart CA" -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$folder/ca.key" -out "$folder/ca.pem")
}

# make_certificate FOLDER NAME ALTERNATIVES: NAME.pem and NAME.key for "DNS:x,IP:y", good for a week.
make_certificate() {
    local folder=$1 name=$2 alternatives=$3
    (
        umask 077
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -subj "/CN=$name" \
            -keyout "$folder/$name.key" -out "$folder/$name.csr" &&
            openssl x509 -req -in "$folder/$name.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial \
                -days 7 -sha256 -out "$folder/$name.pem" -extfile <(
                    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$alternatives"
                )
    )
}
