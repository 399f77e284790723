# Shell functions for the guides in docs/api. Source this file from bash: . examples/api.sh
BASE_URL=${BASE_URL:-http://127.0.0.1:8080}
MAIL_DIR=${MAIL_DIR:-data/mail}
token=

# api METHOD PATH [BODY] [CURL OPTION…]: prints the response's body, and fails if the status is an error.
api() {
    curl -sS --fail-with-body -X "$1" "$BASE_URL$2" ${token:+-H "Authorization: Bearer $token"} \
        ${3:+-H "Content-Type: application/json" -d "$3"} "${@:4}"
}

# refused …: the same for a request that is expected to fail.
refused() { ! api "$@" 2>/dev/null; }

# sign_in EMAIL PASSWORD: sets the token for the next requests.
sign_in() {
    token=
    token=$(api POST /v1/sessions "{\"email\": \"$1\", \"password\": \"$2\"}" | jq -r .access_token)
}

# mailed_link EMAIL: waits for the first mail to this address and prints the link in it. A demo writes its mails to files.
mailed_link() {
    local mail
    for _ in $(seq 100); do
        mail=$(grep -ls "^To:.*$1" "$MAIL_DIR"/*.eml | head -1) && [ -n "$mail" ] && break
        sleep 0.1
    done
    [ -n "$mail" ] || { echo "No mail to $1 in $MAIL_DIR. Run this in the folder of the demo, or set MAIL_DIR." >&2; return 1; }
    # Mails are quoted-printable: `=` at the end of a line continues it, `=3D` is an equals sign.
    tr -d '\r' <"$mail" | sed -z 's/=\n//g; s/=3D/=/g' | grep -o 'http[^ "<]*#token=[^ "<]*' | head -1
}
