const booking = await fetch(`${baseUrl}/v1/appointments`, {
  method: "POST",
  headers: {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    "Idempotency-Key": `book-${hold.id}`,
  },
  body: JSON.stringify({
    slot_id: slot.id, visit_type_id: visitTypeId, patient_id: patientId, hold_id: hold.id,
  }),
});
if (!booking.ok) throw new Error(await booking.text());
const appointment = await booking.json();
