request = Request(
    f"{base_url}/v1/appointments",
    headers={
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": f"book-{hold['id']}",
    },
    data=json.dumps({
        "slot_id": slot["id"], "visit_type_id": visit_type_id,
        "patient_id": patient_id, "hold_id": hold["id"],
    }).encode(),
)
with urlopen(request) as response:
    appointment = json.load(response)
