moved=$(curl -sS --fail-with-body "$base_url/v1/appointments/$appointment_id/reschedule" \
  -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -H "Idempotency-Key: move-$appointment_id-$later_slot_id" \
  -d '{"slot_id": "'"$later_slot_id"'"}')
jq '{starts_at, time_zone}' <<<"$moved"
