// The journey of a patient, and what a doctor reads, with the client of @hey-api/openapi-ts.
import { mailedToken } from "./mail";
import * as api from "./hey";
import { client } from "./hey/client.gen";

let token = "";
client.setConfig({ baseUrl: process.env.BASE_URL ?? "http://127.0.0.1:8080", auth: () => token });
const throwOnError = true;

const email = `heidi-${Date.now()}@patients.example`;
const password = "violet otter hums at dawn";

// Register, verify, set the password, sign in.
await api.createRegistration({
  throwOnError,
  body: {
    email,
    relation: "self",
    patient: {
      given_name: "Heidi", family_name: "Client", date_of_birth: "1967-09-14", administrative_sex: "female",
      preferred_language: "en", interpreter_needed: false,
    },
  },
});
const { data: verified } = await api.verifyEmail({ throwOnError, body: { token: await mailedToken(email) } });
// Without a registration there is none.
const passwordToken = verified ? verified.password_token : null;
if (!passwordToken) throw new Error("no token to set the password");
await api.confirmPasswordReset({ throwOnError, body: { token: passwordToken, new_password: password } });
token = (await api.createSession({ throwOnError, body: { email, password } })).data.access_token;
const patient = (await api.getCurrentUser({ throwOnError })).data.patients[0];
if (!patient) throw new Error("no record");

// Search and hold. The visit is far enough away to be moved online.
const from = new Date(Date.now() + 4 * 86_400_000).toISOString();
const { data: visitTypes } = await api.listVisitTypes({ throwOnError });
const visitType = visitTypes.items.find((type) => type.online_bookable);
if (!visitType) throw new Error("nothing can be booked online");
const { data: slots } = await api.listSlots({ throwOnError, query: { visit_type_id: visitType.id, from, limit: 2 } });
const [slot, later] = slots.items;
if (!slot || !later) throw new Error("no free time");
const { data: hold } = await api.createHold({ throwOnError, path: { id: slot.id }, body: { visit_type_id: visitType.id } });

// The intake.
const begun = await api.createIntake({ throwOnError, path: { id: patient.id }, body: { form: "rls-history" } });
await api.updateIntake({
  throwOnError,
  path: { id: begun.data.id },
  headers: { "If-Match": begun.response.headers.get("ETag") ?? "" },
  body: {
    answers: {
      safety: {
        chest_pain_breathlessness: "no", sudden_cold_pale_leg: "no", new_weakness_saddle_bladder_bowel: "no",
        acute_unilateral_leg_symptoms: "no", bleeding_vein: "no", spreading_hot_redness: "no", open_leg_ulcer: "no",
        self_harm_thoughts: "no",
      },
      symptoms: {
        urge_to_move_legs: "yes", worse_at_rest: "yes", relief_with_movement: "yes", worse_evening_or_night: "yes",
        days_per_week_untreated: 5, impact_level: "moderate", impact_domains: ["sleep"], severity_0_10: 6,
      },
      venous: { varicose_veins: "no", dvt_ever: "no" },
      risk: { family_history_rls: "unknown" },
      medications_status: "none",
      allergies_status: "none",
    },
  },
});
const { data: submitted } = await api.submitIntake({ throwOnError, path: { id: begun.data.id } });
if (submitted.status !== "completed") throw new Error(submitted.status);

// Book, move, cancel.
const { data: booked } = await api.createAppointment({
  throwOnError,
  headers: { "Idempotency-Key": `book-${hold.id}` },
  body: { slot_id: slot.id, visit_type_id: visitType.id, patient_id: patient.id, hold_id: hold.id },
});
const { data: moved } = await api.rescheduleAppointment({ throwOnError, path: { id: booked.id }, body: { slot_id: later.id } });
if (moved.starts_at !== later.starts_at) throw new Error(`moved to ${moved.starts_at}`);
const { data: cancelled } = await api.cancelAppointment({
  throwOnError, path: { id: booked.id }, body: { reason: "I am away that week." },
});
if (cancelled.status !== "cancelled") throw new Error(cancelled.status);

// A problem has its type.
const gone = await api.rescheduleAppointment({ path: { id: booked.id }, body: { slot_id: slot.id } });
if (gone.error?.code !== "status_conflict") throw new Error(`${gone.error?.code}`);

// A doctor reads.
const doctor = { email: "doctor@demo.legwork.example", password: "restful-nights-demo" };
token = (await api.createSession({ throwOnError, body: doctor })).data.access_token;
const { data: day } = await api.listAppointments({ throwOnError, query: { limit: 50 } });
const visit = day.items.find((appointment) => appointment.intake_id);
if (!visit?.intake_id) throw new Error("no visit with an intake");
const { data: record } = await api.getPatient({ throwOnError, path: { id: visit.patient_id } });
const { data: summary } = await api.getIntakeSummary({ throwOnError, path: { id: visit.intake_id } });
// Both can be read as a text, too.
if (typeof summary === "string" || summary.audience !== "practitioner") throw new Error("not the summary of a practitioner");
const { data: timeline } = await api.getRlsTimeline({ throwOnError, path: { id: record.id } });
console.log(`hey-api: ${cancelled.status}; the doctor read ${typeof timeline === "string" ? 0 : timeline.severity.length} severities`);
