//! A follow-up form that a practitioner fills in with the patient.

use serde_json::json;

use crate::doctor_pages::{ann_with_history, at_work, shows};
use crate::support::filled_form::led_to;
use crate::support::intakes::{begin, june};
use crate::support::visitor::{Visitor, plain};
use crate::support::{App, both};

both! {
    async fn a_practitioner_fills_in_a_follow_up_form_with_the_patient(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, ..) = ann_with_history(&app, &clinic).await;
        let ben = app.patient("ben").await;
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let record = doctor.get(&format!("/doctor/patients/{}?lang=en", ann.patient_id)).await;
        shows(&record, &["Fill in a follow-up form with the patient"]);
        let button = format!("/doctor/patients/{}/forms", ann.patient_id);
        let form = led_to(&doctor.submit(&record, &button, &[]).await);
        assert_eq!(led_to(&doctor.submit(&record, &button, &[]).await), form, "pressed twice, begun once");
        // Another page of the record goes on with it.
        assert_eq!(led_to(&doctor.submit(&record, &button, &[("form_key", "another")]).await), form);
        let overview = doctor.get(&form).await;
        shows(&overview, &["For <strong>ann Tester</strong>", "Begin"]);
        let path = form.split('?').next().expect("a path").to_owned();
        let draft = app.doctor_of(&clinic.practitioner_id).await.get(&path.replace("/forms/", "/v1/intakes/")).await.body.clone();
        assert_eq!((&draft["form"], &draft["status"]), (&json!("rls-follow-up"), &json!("in-progress")));
        shows(&doctor.get(&format!("{path}/check?lang=en")).await, &["ann Tester"]);
        let record = doctor.get(&format!("/doctor/patients/{}?lang=en", ann.patient_id)).await;
        shows(&record, &[&format!("../../{}?lang=en", path.trim_start_matches('/'))]);
        // The patient goes on with the same draft, and so does the desk on the telephone.
        shows(&Visitor::signed_in(app.anon(), &ann.email).await.get(&form).await, &["Begin"]);
        app.desk().await;
        shows(&Visitor::signed_in(app.anon(), "desk@clinic.example").await.get(&form).await, &["For <strong>ann Tester</strong>", "Begin"]);
        // The history is filled in on the same pages, and a stranger's record asks for a reason.
        let history = begin(&ann, &ann.patient_id).await.location();
        shows(&doctor.get(&history.replace("/v1/intakes/", "/forms/")).await, &["For <strong>ann Tester</strong>"]);
        let closed = doctor.submit(&record, &format!("/doctor/patients/{}/forms", ben.patient_id), &[]).await;
        assert!(plain(&closed.expect(403).text).contains("reason"), "{}", closed.text);
    }
}
