const submission = await fetch(`${baseUrl}/v1/intakes/${intakeId}/submit`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "Idempotency-Key": `submit-${intakeId}` },
});
if (!submission.ok) throw new Error(await submission.text());
const { notices } = await submission.json(); // show them to the patient at once
