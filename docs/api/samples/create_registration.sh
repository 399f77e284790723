curl -sS --fail-with-body "$base_url/v1/registrations" -H 'Content-Type: application/json' -d '{
  "email": "'"$email"'",
  "relation": "self",
  "patient": {
    "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14",
    "administrative_sex": "female", "preferred_language": "en", "interpreter_needed": false
  }
}'
# 202. A mail to the address has a link with a token. Read `token_of_the_mail` from it.
