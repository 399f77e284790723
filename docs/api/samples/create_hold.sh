hold=$(curl -sS --fail-with-body "$base_url/v1/slots/$slot_id/hold" \
  -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d '{"visit_type_id": "'"$visit_type_id"'"}')
hold_id=$(jq -r .id <<<"$hold")
