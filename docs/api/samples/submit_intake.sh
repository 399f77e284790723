submitted=$(curl -sS --fail-with-body -X POST "$base_url/v1/intakes/$intake_id/submit" \
  -H "Authorization: Bearer $token" -H "Idempotency-Key: submit-$intake_id")
jq '{status, notices}' <<<"$submitted"
