const cancellation = await fetch(`${baseUrl}/v1/appointments/${appointment.id}/cancel`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
  body: JSON.stringify({ reason: "I am away that week." }),
});
if (!cancellation.ok) throw new Error(await cancellation.text());
const { status } = await cancellation.json();
console.log(status);
