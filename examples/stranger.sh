#!/usr/bin/env bash
# A stranger books in five requests, with one mail and one click: the visit types, the free times, a hold without a session, a
# registration that carries it, and the link in the mail. docs/api/first-booking.md explains the steps.
#
#   examples/stranger.sh        against a server on this machine that writes its mails to data/mail
#   BASE_URL=… MAIL_DIR=… examples/stranger.sh
#
# Needs bash, curl, jq and GNU sed.
set -euo pipefail
. "$(dirname "$0")/api.sh"
email="nia-$(date +%s)-$RANDOM@patients.example"

say() { printf '\n== %s\n' "$1"; }

say "1. What can be booked online"
visit_type=$(api GET /v1/visit-types | jq -r '[.items[] | select(.online_bookable)][0].id')
echo "$visit_type"

say "2. The free times"
slot=$(api GET "/v1/slots?visit_type_id=$visit_type&from=$(date -u -d '+3 days' +%FT%TZ)&limit=1" | jq -e '.items[0]')
jq -r '"\(.starts_at) (\(.time_zone))"' <<<"$slot"

say "3. Holding one without a session"
hold=$(api POST "/v1/slots/$(jq -r .id <<<"$slot")/hold" '{"visit_type_id": "'"$visit_type"'"}')
jq -r '"until \(.expires_at)"' <<<"$hold"

say "4. Registering with it"
api POST /v1/registrations "$(jq -n --arg email "$email" --argjson hold "$hold" '{
    email: $email, relation: "self",
    patient: {
        given_name: "Nia", family_name: "Newcomer", date_of_birth: "1967-09-14", administrative_sex: "female",
        phone: "+12125550100", preferred_language: "en", interpreter_needed: false
    },
    appointment: {hold_id: $hold.id, hold_secret: $hold.secret}
}')"
echo "accepted; a mail follows"

say "5. Following the link in the mail"
link=$(mailed_link "$email")
verified=$(api POST /v1/email-verifications "$(jq -n --arg token "${link##*#token=}" '{token: $token}')")
jq '.appointment | {status, starts_at, time_zone, confirmation_code}' <<<"$verified"
[ "$(jq -r .appointment.status <<<"$verified")" = booked ]
[ "$(jq -r .appointment.starts_at <<<"$verified")" = "$(jq -r .starts_at <<<"$slot")" ]
# `password_token` sets the password of the account (POST /v1/password-resets/confirm).
[ "$(jq -r '.password_token | length > 0' <<<"$verified")" = true ]

say "Booked in five requests"
