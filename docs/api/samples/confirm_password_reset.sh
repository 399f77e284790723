curl -sS --fail-with-body "$base_url/v1/password-resets/confirm" -H 'Content-Type: application/json' \
  -d '{"token": "'"$password_token"'", "new_password": "'"$password"'"}'
