const held = await fetch(`${baseUrl}/v1/slots/${slot.id}/hold`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
  body: JSON.stringify({ visit_type_id: visitTypeId }),
});
if (!held.ok) throw new Error(await held.text());
const hold = await held.json();
