const saved = await fetch(`${baseUrl}/v1/intakes/${intakeId}`, {
  method: "PATCH",
  headers: {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/merge-patch+json",
    "If-Match": version,
  },
  body: JSON.stringify({
    answers: {
      safety: {
        chest_pain_breathlessness: "no", sudden_cold_pale_leg: "no", new_weakness_saddle_bladder_bowel: "no",
        acute_unilateral_leg_symptoms: "no", bleeding_vein: "no", spreading_hot_redness: "no",
        open_leg_ulcer: "no", self_harm_thoughts: "no",
      },
      symptoms: {
        urge_to_move_legs: "yes", worse_at_rest: "yes", relief_with_movement: "yes",
        worse_evening_or_night: "yes", days_per_week_untreated: 5, impact_level: "moderate",
        impact_domains: ["sleep"], severity_0_10: 6,
      },
      venous: { varicose_veins: "no", dvt_ever: "no" },
      risk: { family_history_rls: "unknown" },
      medications_status: "none",
      allergies_status: "none",
    },
  }),
});
if (!saved.ok) throw new Error(await saved.text());
console.log((await saved.json()).computed.issues); // what is still missing
