cancelled=$(curl -sS --fail-with-body "$base_url/v1/appointments/$appointment_id/cancel" \
  -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d '{"reason": "I am away that week."}')
jq -r .status <<<"$cancelled"
