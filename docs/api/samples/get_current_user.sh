me=$(curl -sS --fail-with-body "$base_url/v1/me" -H "Authorization: Bearer $token")
patient_id=$(jq -r '.patients[0].id' <<<"$me")
