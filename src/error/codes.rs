//! The `code` of every problem, with its cause and its remedy. The document lists the codes, and `/problems/<code>` explains them.

/// Declares the codes: the variant, the text, the HTTP status, the cause and the remedy.
macro_rules! problem_codes {
    ($($variant:ident = $code:literal, $status:literal: $cause:literal, $remedy:literal;)*) => {
        /// The kind of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProblemCode {
            $(#[doc = $cause] $variant,)*
        }

        impl ProblemCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as clients see it. Stable.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Why the server responds with it.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// What the caller can do.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

problem_codes! {
    // Requests that reach no operation, or no rule of one.
    MalformedRequest = "malformed_request", 400: "The server cannot parse the request or its JSON.",
        "Correct the client. `detail` has the line and the column.";
    Unauthenticated = "unauthenticated", 401: "The access token is missing, expired, revoked or invalid.",
        "Refresh the session, or sign in again.";
    InvalidCredentials = "invalid_credentials", 401: "The e-mail address or the password is wrong, or the address is not verified yet.",
        "Check both, or verify the address with the link in the mail.";
    TotpRequired = "totp_required", 401: "The account has a second factor, and the request has no code.",
        "Send a code of the authenticator app, or a recovery code, as `totp_code`.";
    TotpInvalid = "totp_invalid", 401: "The code is wrong, too old, or was used already.",
        "Wait for the next code of the authenticator app and send it.";
    SessionEnded = "session_ended", 401: "The refresh token is unknown or was used already, or the session is over.", "Sign in again.";
    InvalidClient = "invalid_client", 401: "The machine client is unknown or revoked, or its credential is missing or wrong.",
        "Check the client's id and secret, or ask an administrator.";
    RoleForbidden = "role_forbidden", 403: "The caller's role may not do this.",
        "Use an account with one of the roles in `allowed_roles`.";
    SecondFactorRequired = "second_factor_required", 403: "The clinic requires a second factor, and the account has none yet.",
        "Set up an authenticator app: `POST /v1/me/second-factor`.";
    InsufficientScope = "insufficient_scope", 403: "The operation is closed to machine clients, or the access token lacks its scope.",
        "Request a token with the scope that `WWW-Authenticate` names, or ask an administrator to grant it.";
    InvalidScope = "invalid_scope", 403: "The machine client asks for a scope that it does not have.",
        "Ask for scopes that the client has, or ask an administrator to grant the scope.";
    ReasonRequired = "reason_required", 403: "A practitioner without a care relationship asks for a patient's record.",
        "Repeat the request with the reason in `Access-Reason`. Administrators see it.";
    SecondPersonRequired = "second_person_required", 403: "The rule of two people: the same person took the step before.",
        "Another member of the staff must take this step.";
    PatientOnly = "patient_only", 403: "Only the adult patient can do this with their own record.",
        "The patient signs in with their own account, or calls the clinic.";
    ForeignForm = "foreign_form", 403: "The form was not sent by a page of this service.", "Open the page again and send its form.";
    OriginNotAllowed = "origin_not_allowed", 403: "A web client of this origin may not use the server.",
        "The operator can allow the origin with the setting `CORS_ORIGINS`.";
    NotFound = "not_found", 404: "The object does not exist, or the caller may not see it. The two look the same on purpose.",
        "Check the id and the account.";
    MethodNotAllowed = "method_not_allowed", 405: "The path exists, but not for this method.", "Use one of the methods in `Allow`.";
    NotAcceptable = "not_acceptable", 406: "`Accept` excludes every media type in which the operation can respond.",
        "Send the media type that `detail` names in `Accept`, or no `Accept`.";
    RequestTimeout = "request_timeout", 408: "The request did not arrive in time.", "Send it again over a faster connection.";
    Stale = "stale", 412: "The object was changed after it was read.", "Read it again, and repeat the change with the new `ETag`.";
    BodyTooLarge = "body_too_large", 413: "The body is larger than `limit` bytes.", "Send less in one request.";
    UnsupportedMediaType = "unsupported_media_type", 415: "The server does not read bodies of this media type or charset here.",
        "Send the body as the media type that `detail` names, in UTF-8.";
    ValidationFailed = "validation_failed", 422: "The input breaks rules. `errors` lists each with its place.",
        "Correct what `errors` lists, and send the request again.";
    IdempotencyKeyReused = "idempotency_key_reused", 422: "The `Idempotency-Key` was sent before with another request.",
        "Use a new key for each new request.";
    PreconditionRequired = "precondition_required", 428: "The change needs the version that the caller has read.",
        "Send the `ETag` of that version as `If-Match`.";
    RateLimited = "rate_limited", 429: "The address or the account sent too many requests.",
        "Wait for the number of seconds in `Retry-After`.";
    TooManyAttempts = "too_many_attempts", 429: "Too many attempts with a wrong password or code.",
        "Wait for the number of seconds in `Retry-After`. A known device sends its `device_token`.";
    TooManyChanges = "too_many_changes", 429: "The account made too many changes of this kind in an hour.",
        "Wait for the number of seconds in `Retry-After`.";
    MailboxFull = "mailbox_full", 429: "The hourly limit of mails of this kind to the address is reached.",
        "Use the link in an earlier mail, or wait for the number of seconds in `Retry-After`.";
    StreamLimit = "stream_limit", 429: "The account has as many open streams of events as it may have.", "Close one of them.";
    Internal = "internal", 500: "The server failed. Nothing was changed.", "Report the `request_id` to the operator.";
    Unavailable = "unavailable", 503: "The server cannot answer now.",
        "Wait for the number of seconds in `Retry-After`, and send the same request with the same `Idempotency-Key`.";
    DatabaseDamaged = "database_damaged", 503: "The database file is damaged.", "The operator must restore a backup.";
    StorageFull = "storage_full", 507: "The disk of the service is full. Nothing was changed.", "The operator must make room.";
    EventsExpired = "events_expired", 410: "Events after this number are not kept any more, or a backup was restored.",
        "Read the lists again, and then the events after `newest_seq`.";

    // Time slots, holds and appointments.
    SlotTaken = "slot_taken", 409: "Another visit, hold or block has the time, or a resource that the visit needs.",
        "Choose one of the times in `next_free`.";
    SlotPast = "slot_past", 409: "The time slot has begun or is over.", "Choose a later one.";
    HoldLapsed = "hold_lapsed", 409: "The hold has expired, or was released, replaced or used.",
        "Hold the time again if it is still free, or one of the times in `next_free`.";
    HoldLimit = "hold_limit", 409: "The caller, or all strangers together, have as many holds as they may have.",
        "Book or release a hold, wait until one expires, or sign in.";
    HoldRenewed = "hold_renewed", 409: "The hold was renewed before.", "Book before it expires, or hold the time again afterwards.";
    HoldReserved = "hold_reserved", 409: "The hold belongs to a registration that waits for its verification.",
        "Use the link in the mail of the registration.";
    NotOffered = "not_offered", 409: "The practitioner or the location does not offer this visit type.",
        "Choose another time, practitioner or visit type.";
    NotOnlineBookable = "not_online_bookable", 409: "Patients cannot book this visit type online.", "Call the clinic.";
    BookingNotice = "booking_notice", 409: "The visit begins too soon to be booked online.", "Choose a later time, or call the clinic.";
    CancelNotice = "cancel_notice", 409: "The visit begins too soon to be cancelled or moved online.", "Call the clinic.";
    TooEarly = "too_early", 409: "The day of the appointment has not come yet.", "Take the step on the day of the visit.";
    PatientBusy = "patient_busy", 409: "The patient has another appointment at that time.", "Choose another time.";
    BookingLimit = "booking_limit", 409: "The patient has as many open appointments as may be booked online.",
        "Cancel one, or call the clinic.";
    AccountBookingLimit = "account_booking_limit", 409: "The account has as many open appointments as it may book.",
        "Cancel one, or call the clinic.";
    NewAccountLimit = "new_account_limit", 409: "Too many new accounts of this network booked visits.", "Call the clinic, or try later.";
    SeriesGap = "series_gap", 409: "The days between two visits of the series would not keep their limits.",
        "Choose another time, or send `ignore_gaps` as staff.";
    ZoneUnchanged = "zone_unchanged", 409: "The start of the appointment shows the promised local time.", "There is nothing to do.";
    TooManyClosures = "too_many_closures", 409: "The location has as many closures as it may have.", "Delete old closures.";
    StatusConflict = "status_conflict", 409: "The status of the object does not allow the step.",
        "Read the object again. For an appointment, `allowed` lists the steps.";

    // Waitlist.
    AlreadyWaiting = "already_waiting", 409: "The patient waits for this kind of visit already.",
        "Change the entry that `waitlist_entry_id` names.";
    OfferOpen = "offer_open", 409: "The patient has an open offer already.", "Wait until it ends, or withdraw it.";
    OfferLapsed = "offer_lapsed", 409: "The offer was not answered in time.", "The patient still waits, and gets another offer.";
    OfferEnded = "offer_ended", 409: "The offer was claimed, declined or withdrawn.", "Read it again.";
    NotEarlier = "not_earlier", 409: "The patient waits for an earlier time than that of the visit.", "Offer an earlier time.";
    NoAddress = "no_address", 409: "The patient has no address for the chosen way.", "Choose the other way, or add the address.";

    // Intakes.
    DraftExists = "draft_exists", 409: "The patient has an open draft of this form.", "Continue or discard the draft in `intake_id`.";
    AlreadyAcknowledged = "already_acknowledged", 409: "The flag is acknowledged already.", "Read the flag again.";
    AlreadyAnswered = "already_answered", 409: "The questions are answered already.", "There is nothing to do.";

    // Patients, access and merging.
    IdentifierTaken = "identifier_taken", 409: "Another object has the identifier.", "Look at the object in `taken_by`.";
    PatientMerged = "patient_merged", 409: "The record was merged into another one.", "Use the record in `replaced_by`.";
    PatientRetired = "patient_retired", 409: "The record was retired, because it was made by mistake.", "Use the right record.";
    PatientInUse = "patient_in_use", 409: "The record is in use.", "End what `used_by` lists, or merge the record.";
    MergeConflicts = "merge_conflicts", 409: "The records cannot be merged as they are.", "Resolve what `conflicts` lists.";
    MergedSince = "merged_since", 409: "The record that remained was merged with another one since.", "Undo that merge first.";
    UsedSinceMerge = "used_since_merge", 409: "The joined record was used since the merge.", "Separate the records by hand; `uses` lists what was done.";
    AlreadyUndone = "already_undone", 409: "The merge or retirement was undone already.", "There is nothing to do.";
    UndoPeriodOver = "undo_period_over", 409: "The merge cannot be undone any more.", "Create a new record.";
    AccountIsStaff = "account_is_staff", 409: "A staff account cannot act for patients.", "Use another account of the person.";
    OtherRelation = "other_relation", 409: "The account acts for this patient in another relation.", "End that access first.";
    OwnRecordExists = "own_record_exists", 409: "The account's holder has a record of their own.", "Use that record.";
    OwnAccountExists = "own_account_exists", 409: "The patient has an account of their own.", "Use that account.";
    OwnAccess = "own_access", 409: "The access is the caller's own.", "Call the clinic to end it.";
    NotPending = "not_pending", 409: "The access does not wait for a confirmation.", "Read the list again.";
    TooManyPatients = "too_many_patients", 409: "The account has added as many people as it may.", "The clinic can link more.";

    // Accounts, machine clients and messages.
    EmailTaken = "email_taken", 409: "Another account has the e-mail address.", "Use another address, or that account.";
    LastAdmin = "last_admin", 409: "This is the last administrator who can sign in.", "Make another account an administrator first.";
    OwnAccount = "own_account", 409: "The caller cannot do this to their own account.", "Ask another administrator.";
    SecondFactorOn = "second_factor_on", 409: "The second factor is on already.", "Switch it off first.";
    SecondFactorOff = "second_factor_off", 409: "The second factor is off.", "Set up an authenticator app first.";
    NoEnrolment = "no_enrolment", 409: "No secret waits for its confirmation.",
        "Request a new secret, and confirm it within half an hour.";
    NoAccount = "no_account", 409: "The practitioner has no account that can sign in.", "Invite them, or enable their account.";
    RefreshRaced = "refresh_raced", 409: "Another request has just renewed the session.", "Use the tokens of its response.";
    RequestInProgress = "request_in_progress", 409: "A request with the same `Idempotency-Key` still runs.",
        "Send the request again after a second.";
    ClientRevoked = "client_revoked", 409: "The machine client is revoked for ever.", "Create another one.";
    TooManySecrets = "too_many_secrets", 409: "The machine client has as many secrets as it may have.", "Delete one first.";
    TooManyWebhooks = "too_many_webhooks", 409: "The clinic has as many webhooks as it may have.", "Delete one first.";
    RedeliveryInProgress = "redelivery_in_progress", 409: "An earlier request to send events again has not ended.",
        "Read the webhook's delivery, and send the request after `redelivery` is null.";
    MessageNotOpen = "message_not_open", 409: "The message was mailed, is still to be mailed, or was completed before.",
        "Read the list again.";
    OtherNumber = "other_number", 409: "A message in `also` is for another telephone number.", "Complete it by itself.";
    MessagePending = "message_pending", 409: "The message has not been sent yet.", "The service sends or retries it by itself.";
    MessageToPhone = "message_to_phone", 409: "The recipient has no e-mail address.", "Call the recipient.";
    MessageDone = "message_done", 409: "The message was completed without a mail, or is not needed any more.", "Read the list again.";
    MessageSuperseded = "message_superseded", 409: "A newer message says what holds now.", "Send the newer one again.";
    RecipientChanged = "recipient_changed", 409: "Messages about the patient go to another address now.", "Read the record again.";
}

impl std::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for ProblemCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl utoipa::PartialSchema for ProblemCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let codes = Self::ALL.iter().map(|code| code.as_str());
        let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
        schema
            .enum_values(Some(codes))
            .description(Some("The kind of a problem. `/problems/<code>` explains each. New kinds may be added."))
            .into()
    }
}

impl utoipa::ToSchema for ProblemCode {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ProblemCode;

    #[test]
    fn no_two_kinds_share_a_code_and_every_text_ends() {
        let codes: BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert!(code.cause().ends_with('.') && code.remedy().ends_with('.'), "{code}");
        }
    }
}
