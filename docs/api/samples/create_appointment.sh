appointment=$(curl -sS --fail-with-body "$base_url/v1/appointments" \
  -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -H "Idempotency-Key: book-$hold_id" \
  -d '{
    "slot_id": "'"$slot_id"'", "visit_type_id": "'"$visit_type_id"'",
    "patient_id": "'"$patient_id"'", "hold_id": "'"$hold_id"'"
  }')
appointment_id=$(jq -r .id <<<"$appointment")
