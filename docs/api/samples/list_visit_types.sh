visit_types=$(curl -sS --fail-with-body "$base_url/v1/visit-types")
visit_type_id=$(jq -r '[.items[] | select(.online_bookable)][0].id' <<<"$visit_types")
