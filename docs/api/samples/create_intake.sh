intake=$(curl -sS --fail-with-body "$base_url/v1/patients/$patient_id/intakes" \
  -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d '{"form": "rls-history"}')
intake_id=$(jq -r .id <<<"$intake")
