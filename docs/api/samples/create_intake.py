request = Request(
    f"{base_url}/v1/patients/{patient_id}/intakes",
    headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    data=json.dumps({"form": "rls-history"}).encode(),
)
with urlopen(request) as response:
    intake_id = json.load(response)["id"]
    version = response.headers["ETag"]
