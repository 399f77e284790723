with urlopen(f"{base_url}/v1/visit-types") as response:
    visit_types = json.load(response)["items"]
visit_type_id = next(one["id"] for one in visit_types if one["online_bookable"])
