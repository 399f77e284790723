request = Request(
    f"{base_url}/v1/slots/{slot['id']}/hold",
    headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    data=json.dumps({"visit_type_id": visit_type_id}).encode(),
)
with urlopen(request) as response:
    hold = json.load(response)
