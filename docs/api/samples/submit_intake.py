request = Request(
    f"{base_url}/v1/intakes/{intake_id}/submit",
    method="POST",
    headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"submit-{intake_id}"},
)
with urlopen(request) as response:
    notices = json.load(response)["notices"]  # show them to the patient at once
