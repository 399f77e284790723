"""The journey of a patient, and what a doctor reads, with the client of openapi-python-client."""

import datetime
import os
import re
import time
from pathlib import Path

from legwork_client import AuthenticatedClient, Client
from legwork_client import models as m
from legwork_client.api.appointments import cancel_appointment, create_appointment, list_appointments, reschedule_appointment
from legwork_client.api.intakes import create_intake, get_intake_summary, get_rls_timeline, submit_intake, update_intake
from legwork_client.api.patients import get_patient
from legwork_client.api.registration import confirm_password_reset, create_registration, verify_email
from legwork_client.api.sessions import create_session
from legwork_client.api.slots import create_hold, list_slots
from legwork_client.api.users import get_current_user
from legwork_client.api.visit_types import list_visit_types

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080")
anyone = Client(base_url=BASE_URL, raise_on_unexpected_status=True)


def done(response):
    """The parsed body of a response; raises for a problem."""
    if response.status_code >= 300:
        raise RuntimeError(f"{response.status_code}: {response.content.decode()}")
    return response.parsed


def mailed_token(email):
    """Waits for the first mail to this address, and returns the token of the link in it. A demo writes its mails to files."""
    for _ in range(100):
        for file in sorted(Path(os.environ.get("MAIL_DIR", "data/mail")).glob("*.eml")):
            # Mails are quoted-printable: `=` at the end of a line continues it, `=3D` is an equals sign.
            mail = file.read_text().replace("\r", "").replace("=\n", "").replace("=3D", "=")
            token = re.search(r'#token=([^\s"<]+)', mail)
            if email in mail and token:
                return token[1]
        time.sleep(0.1)
    raise RuntimeError(f"no mail to {email}")


def sign_in(email, password):
    body = m.NewSession(email=email, password=password)
    session = done(create_session.sync_detailed(client=anyone, body=body))
    return AuthenticatedClient(base_url=BASE_URL, token=session.access_token, raise_on_unexpected_status=True)


email = f"petra-{time.time_ns()}@patients.example"
password = "violet otter hums at dawn"

# Register, verify, set the password, sign in.
patient = m.NewPatient(
    given_name="Petra", family_name="Client", date_of_birth=datetime.date(1967, 9, 14),
    administrative_sex=m.AdministrativeSex.FEMALE, preferred_language="en", interpreter_needed=False,
)
registration = m.NewRegistration(email=email, relation=m.Relation.SELF, patient=patient)
done(create_registration.sync_detailed(client=anyone, body=registration))
verified = done(verify_email.sync_detailed(client=anyone, body=m.VerifyEmailRequest(token=mailed_token(email))))
body = m.ConfirmPasswordResetRequest(token=verified.password_token, new_password=password)
done(confirm_password_reset.sync_detailed(client=anyone, body=body))
petra = sign_in(email, password)
patient_id = done(get_current_user.sync_detailed(client=petra)).patients[0].id

# Search and hold. The visit is far enough away to be moved online.
start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=4)
visit_types = done(list_visit_types.sync_detailed(client=petra)).items
visit_type = next(kind for kind in visit_types if kind.online_bookable)
slot, later = done(list_slots.sync_detailed(client=petra, visit_type_id=visit_type.id, from_=start, limit=2)).items
hold = done(create_hold.sync_detailed(slot.id, client=petra, body=m.NewHold(visit_type_id=visit_type.id)))

# The intake.
begun = create_intake.sync_detailed(patient_id, client=petra, body=m.NewIntake(form=m.IntakeFormName("rls-history")))
intake_id = done(begun).id
answers = m.RlsAnswersPatch.from_dict({
    "safety": {
        "chest_pain_breathlessness": "no", "sudden_cold_pale_leg": "no", "new_weakness_saddle_bladder_bowel": "no",
        "acute_unilateral_leg_symptoms": "no", "bleeding_vein": "no", "spreading_hot_redness": "no", "open_leg_ulcer": "no",
        "self_harm_thoughts": "no",
    },
    "symptoms": {
        "urge_to_move_legs": "yes", "worse_at_rest": "yes", "relief_with_movement": "yes", "worse_evening_or_night": "yes",
        "days_per_week_untreated": 5, "impact_level": "moderate", "impact_domains": ["sleep"], "severity_0_10": 6,
    },
    "venous": {"varicose_veins": "no", "dvt_ever": "no"},
    "risk": {"family_history_rls": "unknown"},
    "medications_status": "none",
    "allergies_status": "none",
})
saved = update_intake.sync_detailed(
    intake_id, client=petra, body=m.IntakePatch(answers=answers), if_match=begun.headers["ETag"]
)
assert done(saved).answers.symptoms.days_per_week_untreated == 5
assert done(submit_intake.sync_detailed(intake_id, client=petra)).status == "completed"

# Book, move, cancel.
booking = m.NewAppointment(slot_id=slot.id, visit_type_id=visit_type.id, patient_id=patient_id, hold_id=hold.id)
booked = done(create_appointment.sync_detailed(client=petra, body=booking, idempotency_key=f"book-{hold.id}"))
move = m.RescheduleAppointmentRequest(slot_id=later.id)
assert done(reschedule_appointment.sync_detailed(booked.id, client=petra, body=move)).starts_at == later.starts_at
cancellation = m.CancelAppointmentRequest(reason="I am away that week.")
cancelled = done(cancel_appointment.sync_detailed(booked.id, client=petra, body=cancellation))
assert cancelled.status == "cancelled"

# A problem has its type.
gone = reschedule_appointment.sync_detailed(booked.id, client=petra, body=m.RescheduleAppointmentRequest(slot_id=slot.id))
assert gone.parsed.code == "status_conflict"

# A doctor reads.
doctor = sign_in("doctor@demo.legwork.example", "restful-nights-demo")
day = done(list_appointments.sync_detailed(client=doctor, limit=50)).items
visit = next(appointment for appointment in day if appointment.intake_id)
record = done(get_patient.sync_detailed(visit.patient_id, client=doctor))
summary = done(get_intake_summary.sync_detailed(visit.intake_id, client=doctor))
assert summary.audience == "practitioner"
timeline = done(get_rls_timeline.sync_detailed(record.id, client=doctor))
print(f"openapi-python-client: {cancelled.status}; the doctor read {len(timeline.severity)} severities")
