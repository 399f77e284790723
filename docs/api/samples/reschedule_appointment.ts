const move = await fetch(`${baseUrl}/v1/appointments/${appointment.id}/reschedule`, {
  method: "POST",
  headers: {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    "Idempotency-Key": `move-${appointment.id}-${laterSlot.id}`,
  },
  body: JSON.stringify({ slot_id: laterSlot.id }),
});
if (!move.ok) throw new Error(await move.text());
const moved = await move.json();
