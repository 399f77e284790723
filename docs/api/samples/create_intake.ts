const begun = await fetch(`${baseUrl}/v1/patients/${patientId}/intakes`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
  body: JSON.stringify({ form: "rls-history" }),
});
if (!begun.ok) throw new Error(await begun.text());
const intakeId = (await begun.json()).id;
const version = begun.headers.get("ETag") ?? "";
