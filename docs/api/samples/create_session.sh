session=$(curl -sS --fail-with-body "$base_url/v1/sessions" -H 'Content-Type: application/json' \
  -d '{"email": "'"$email"'", "password": "'"$password"'"}')
token=$(jq -r .access_token <<<"$session")
