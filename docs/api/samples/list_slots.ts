const search = new URLSearchParams({ visit_type_id: visitTypeId, from, limit: "2" });
const found = await fetch(`${baseUrl}/v1/slots?${search}`);
if (!found.ok) throw new Error(await found.text());
const [slot, laterSlot] = (await found.json()).items;
