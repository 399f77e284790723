#!/usr/bin/env bash
# Everything a new patient does: register, verify the address, set a password, sign in, search, hold, book, read the mail.
# docs/api/first-booking.md explains the steps.
#
#   examples/book.sh            against a server on this machine that writes its mails to data/mail
#   BASE_URL=… MAIL_DIR=… examples/book.sh
#
# Needs bash, curl, jq, awk and base64.
set -euo pipefail
BASE_URL=${BASE_URL:-http://127.0.0.1:8080}
MAIL_DIR=${MAIL_DIR:-data/mail}

email="ann-$(date +%s)-$RANDOM@patients.example"
password="violet otter hums at dawn $RANDOM"

say() { printf '\n== %s\n' "$1"; }

# api METHOD PATH [BODY] [HEADER…]: prints the response's body. An error is printed and ends the script.
api() {
    local method=$1 path=$2 body=${3:-} answer status
    shift $(($# < 3 ? $# : 3))
    local arguments=(-sS -X "$method" -w '\n%{http_code}')
    [ -z "$body" ] || arguments+=(-H 'Content-Type: application/json' -d "$body")
    [ -z "${token:-}" ] || arguments+=(-H "Authorization: Bearer $token")
    for header in "$@"; do arguments+=(-H "$header"); done
    answer=$(curl "${arguments[@]}" "$BASE_URL$path")
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    if [ "$status" -ge 300 ]; then
        printf '%s %s answered %s:\n%s\n' "$method" "$path" "$status" "$answer" >&2
        return 1
    fi
    printf '%s' "$answer"
}

# Undoes quoted-printable: soft line breaks and =XX.
unquote() {
    awk '
        function hex(text,   i, value) {
            value = 0
            for (i = 1; i <= 2; i++) value = value * 16 + index("0123456789ABCDEF", toupper(substr(text, i, 1))) - 1
            return value
        }
        {
            sub(/\r$/, "")
            soft = sub(/=$/, "")
            out = ""
            while (match($0, /=[0-9A-Fa-f][0-9A-Fa-f]/)) {
                out = out substr($0, 1, RSTART - 1) sprintf("%c", hex(substr($0, RSTART + 1, 2)))
                $0 = substr($0, RSTART + 3)
            }
            printf "%s%s", out $0, (soft ? "" : "\n")
        }'
}

# part FILE TYPE: prints the first part of a mail that has this Content-Type, decoded.
part() {
    local coded encoding
    coded=$(awk -v type="$2" '
        { sub(/\r$/, "") }
        /^--/ && wanted && body { exit }
        tolower($0) ~ "^content-type: *" type { wanted = 1 }
        wanted && !body && tolower($0) ~ /^content-transfer-encoding:/ { print "encoding " $2 }
        wanted && !body && $0 == "" { body = 1; next }
        wanted && body { print }
    ' "$1")
    encoding=$(printf '%s\n' "$coded" | sed -n '1s/^encoding //p')
    [ -z "$encoding" ] || coded=$(printf '%s\n' "$coded" | tail -n +2)
    case $encoding in
        base64) printf '%s\n' "$coded" | base64 -d | tr -d '\r' ;;
        quoted-printable) printf '%s\n' "$coded" | unquote ;;
        *) printf '%s\n' "$coded" ;;
    esac
}

# mail PATTERN: waits for a mail to our address whose file contains the pattern, and prints the file's name.
mail() {
    local file
    for _ in $(seq 100); do
        file=$(grep -ls "^To:.*$email" "$MAIL_DIR"/*.eml 2>/dev/null | xargs -r grep -lsi "$1" | head -1 || true)
        if [ -n "$file" ]; then printf '%s' "$file"; return; fi
        sleep 0.1
    done
    echo "no mail to $email with $1 in $MAIL_DIR" >&2
    return 1
}

say "Registering $email"
api POST /v1/registrations "$(jq -n --arg email "$email" '{
    email: $email, relation: "self",
    patient: {
        given_name: "Ann", family_name: "Example", date_of_birth: "1967-09-14", administrative_sex: "female",
        phone: "+12125550100", preferred_language: "en", interpreter_needed: false
    },
    consents: [
        {type: "treatment", version: "1", decision: "accepted", method: "online", signer: "Ann Example"},
        {type: "privacy_notice", version: "1", decision: "accepted", method: "online", signer: "Ann Example"}
    ]
}')" >/dev/null
echo "accepted; a mail follows"

say "Verifying the address with the link in the mail"
link=$(part "$(mail verify-email)" text/plain | grep -o 'https\?://[^ ]*#token=[^ ]*' | head -1)
echo "$link"
verified=$(api POST /v1/email-verifications "$(jq -n --arg token "${link##*#token=}" '{token: $token}')")

say "Setting the password"
api POST /v1/password-resets/confirm "$(jq --arg password "$password" '{token: .password_token, new_password: $password}' <<<"$verified")"

say "Signing in"
token=$(api POST /v1/sessions "$(jq -n --arg email "$email" --arg password "$password" '{email: $email, password: $password}')" | jq -r .access_token)
patient=$(api GET /v1/me | jq -r '.patients[0].id')
echo "patient $patient"

say "Looking for the earliest visit"
visit_type=$(api GET /v1/visit-types | jq -r '[.items[] | select(.online_bookable)][0].id')
slot=$(api GET "/v1/slots?visit_type_id=$visit_type&limit=1" | jq -e '.items[0]')
jq -r '"\(.starts_at) (\(.time_zone))"' <<<"$slot"
slot=$(jq -r .id <<<"$slot")

say "Holding it for ten minutes"
hold=$(api POST "/v1/slots/$slot/hold" "$(jq -n --arg v "$visit_type" '{visit_type_id: $v}')")
jq -r '"until \(.expires_at)"' <<<"$hold"

say "Booking it twice with one key: the second response equals the first"
body=$(jq -n --arg s "$slot" --arg v "$visit_type" --arg p "$patient" --argjson h "$hold" \
    '{slot_id: $s, visit_type_id: $v, patient_id: $p, hold_id: $h.id}')
key="Idempotency-Key: book-$RANDOM-$RANDOM"
appointment=$(api POST /v1/appointments "$body" "$key")
again=$(api POST /v1/appointments "$body" "$key")
[ "$appointment" = "$again" ]
jq '{id, status, starts_at, time_zone, confirmation_code}' <<<"$appointment"

say "The confirmation mail"
confirmation=$(mail text/calendar)
part "$confirmation" text/plain
say "Its calendar entry"
invitation=$(part "$confirmation" text/calendar)
printf '%s\n' "$invitation"
grep -q '^METHOD:REQUEST' <<<"$invitation"
grep -q "$(jq -r .confirmation_code <<<"$appointment")" <<<"$(part "$confirmation" text/plain)"

say "Done"
