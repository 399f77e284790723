// The journey of a patient, and what a doctor reads, with types by openapi-typescript and the client openapi-fetch.
import createClient, { type Middleware } from "openapi-fetch";
import { mailedToken } from "./mail";
import type { paths } from "./schema";

const client = createClient<paths>({ baseUrl: process.env.BASE_URL ?? "http://127.0.0.1:8080" });
let token = "";
const authorization: Middleware = {
  onRequest({ request }) {
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
};
client.use(authorization);

/** Returns the data of a response, or throws the problem. */
function data<T>(result: { data?: T; error?: unknown; response: Response }): T {
  if (result.error !== undefined || result.data === undefined) {
    throw new Error(`${result.response.url}: ${result.response.status} ${JSON.stringify(result.error)}`);
  }
  return result.data;
}

const email = `otto-${Date.now()}@patients.example`;
const password = "violet otter hums at dawn";

// Register, verify, set the password, sign in.
const registration = await client.POST("/v1/registrations", {
  body: {
    email,
    relation: "self",
    patient: {
      given_name: "Otto", family_name: "Client", date_of_birth: "1967-09-14", administrative_sex: "male",
      preferred_language: "en", interpreter_needed: false,
    },
  },
});
if (registration.error) throw new Error(registration.error.detail);
const verified = data(await client.POST("/v1/email-verifications", { body: { token: await mailedToken(email) } }));
if (!verified.password_token) throw new Error("no token to set the password");
await client.POST("/v1/password-resets/confirm", { body: { token: verified.password_token, new_password: password } });
const session = data(await client.POST("/v1/sessions", { body: { email, password } }));
token = session.access_token;
const patient = data(await client.GET("/v1/me")).patients[0];
if (!patient) throw new Error("no record");

// Search and hold. The visit is far enough away to be moved online.
const from = new Date(Date.now() + 4 * 86_400_000).toISOString();
const visitTypes = data(await client.GET("/v1/visit-types"));
const visitType = visitTypes.items.find((type) => type.online_bookable);
if (!visitType) throw new Error("nothing can be booked online");
const slots = data(await client.GET("/v1/slots", { params: { query: { visit_type_id: visitType.id, from, limit: 2 } } }));
const [slot, later] = slots.items;
if (!slot || !later) throw new Error("no free time");
const hold = data(await client.POST("/v1/slots/{id}/hold", {
  params: { path: { id: slot.id } }, body: { visit_type_id: visitType.id },
}));

// The intake.
const begun = await client.POST("/v1/patients/{id}/intakes", {
  params: { path: { id: patient.id } }, body: { form: "rls-history" },
});
const intake = data(begun);
const saved = data(await client.PATCH("/v1/intakes/{id}", {
  params: { path: { id: intake.id }, header: { "If-Match": begun.response.headers.get("ETag") ?? "" } },
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
}));
if (saved.answers?.symptoms?.days_per_week_untreated !== 5) throw new Error("the answers are not those sent");
const submitted = data(await client.POST("/v1/intakes/{id}/submit", { params: { path: { id: intake.id } } }));
if (submitted.status !== "completed") throw new Error(submitted.status);

// Book, move, cancel.
const booked = data(await client.POST("/v1/appointments", {
  params: { header: { "Idempotency-Key": `book-${hold.id}` } },
  body: { slot_id: slot.id, visit_type_id: visitType.id, patient_id: patient.id, hold_id: hold.id },
}));
const moved = data(await client.POST("/v1/appointments/{id}/reschedule", {
  params: { path: { id: booked.id } }, body: { slot_id: later.id },
}));
if (moved.starts_at !== later.starts_at) throw new Error(`moved to ${moved.starts_at}`);
const cancelled = data(await client.POST("/v1/appointments/{id}/cancel", {
  params: { path: { id: booked.id } }, body: { reason: "I am away that week." },
}));
if (cancelled.status !== "cancelled") throw new Error(cancelled.status);

// A problem has its type.
const gone = await client.POST("/v1/appointments/{id}/reschedule", { params: { path: { id: booked.id } }, body: { slot_id: slot.id } });
if (gone.error?.code !== "status_conflict") throw new Error(`${gone.error?.code}`);

// A doctor reads.
token = "";
const doctor = data(await client.POST("/v1/sessions", {
  body: { email: "doctor@demo.legwork.example", password: "restful-nights-demo" },
}));
token = doctor.access_token;
const day = data(await client.GET("/v1/appointments", { params: { query: { limit: 50 } } }));
const visit = day.items.find((appointment) => appointment.intake_id);
if (!visit?.intake_id) throw new Error("no visit with an intake");
const record = data(await client.GET("/v1/patients/{id}", { params: { path: { id: visit.patient_id } } }));
const summary = data(await client.GET("/v1/intakes/{id}/summary", { params: { path: { id: visit.intake_id } } }));
// Both can be read as a text, too.
if (typeof summary === "string" || summary.audience !== "practitioner") throw new Error("not the summary of a practitioner");
const timeline = data(await client.GET("/v1/patients/{id}/rls-timeline", { params: { path: { id: record.id } } }));
console.log(`openapi-fetch: ${cancelled.status}; the doctor read ${typeof timeline === "string" ? 0 : timeline.severity.length} severities`);
