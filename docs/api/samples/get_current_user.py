request = Request(f"{base_url}/v1/me", headers={"Authorization": f"Bearer {token}"})
with urlopen(request) as response:
    patient_id = json.load(response)["patients"][0]["id"]
