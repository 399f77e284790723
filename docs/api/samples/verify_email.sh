verified=$(curl -sS --fail-with-body "$base_url/v1/email-verifications" -H 'Content-Type: application/json' \
  -d '{"token": "'"$token_of_the_mail"'"}')
password_token=$(jq -r .password_token <<<"$verified")
