//! The tables on both engines. The migrations are the source, and a test compares both.

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    users (id) {
        id -> types::Uid,
        email -> Text,
        email_key -> Text,
        name -> Nullable<Text>,
        role -> Text,
        practitioner_id -> Nullable<types::Uid>,
        password_hash -> Nullable<Text>,
        preferred_language -> Text,
        email_verified_at -> Nullable<types::Instant>,
        disabled_at -> Nullable<types::Instant>,
        second_factor_at -> Nullable<types::Instant>,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        credential_generation -> Integer,
        is_client -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    clients (user_id) {
        user_id -> types::Uid,
        scopes -> Text,
        jwks -> Nullable<Text>,
        last_used_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    client_secrets (id) {
        id -> types::Uid,
        client_id -> types::Uid,
        secret_hash -> Binary,
        created_at -> types::Instant,
        ends_at -> Nullable<types::Instant>,
        last_used_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    client_assertions (client_id, jti_hash) {
        client_id -> types::Uid,
        jti_hash -> Binary,
        expires_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    address_requests (id) {
        id -> types::Uid,
        requested_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    new_accounts (user_id) {
        user_id -> types::Uid,
        caller -> Binary,
        network -> Binary,
        expires_at -> types::Instant,
        visits_left -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    sessions (id) {
        id -> types::Uid,
        user_id -> types::Uid,
        created_at -> types::Instant,
        last_used_at -> types::Instant,
        expires_at -> types::Instant,
        device -> Text,
        network -> Text,
        revoked_at -> Nullable<types::Instant>,
        revoked_reason -> Nullable<Text>,
        cookie_hash -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    refresh_tokens (id) {
        id -> types::Uid,
        session_id -> types::Uid,
        token_hash -> Binary,
        created_at -> types::Instant,
        used_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    one_time_tokens (id) {
        id -> types::Uid,
        user_id -> types::Uid,
        purpose -> Text,
        new_email -> Nullable<Text>,
        token_hash -> Binary,
        created_at -> types::Instant,
        expires_at -> types::Instant,
        used_at -> Nullable<types::Instant>,
        requested_by -> Nullable<Binary>,
        registration -> Nullable<Binary>,
        requested_from -> Nullable<Binary>,
        visit -> Nullable<Binary>,
        hold_id -> Nullable<types::Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    second_factors (user_id) {
        user_id -> types::Uid,
        secret -> Binary,
        last_step -> BigInt,
        created_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    recovery_codes (user_id, code_hash) {
        user_id -> types::Uid,
        code_hash -> Binary,
        used_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    sign_in_failures (account, network) {
        account -> Binary,
        network -> Binary,
        failures -> Integer,
        last_at -> types::Instant,
        retry_at -> types::Instant,
    }
}

diesel::table! {
    database_marks (name) {
        name -> Text,
    }
}

diesel::table! {
    setup_state (id) {
        id -> Integer,
        token -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    zone_data (id) {
        id -> Integer,
        version -> Text,
        recorded_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patients (id) {
        id -> types::Uid,
        mrn -> Text,
        given_name -> Nullable<Text>,
        family_name -> Text,
        middle_name -> Nullable<Text>,
        preferred_name -> Nullable<Text>,
        previous_names -> Nullable<Text>,
        date_of_birth -> types::Day,
        administrative_sex -> Text,
        phone -> Nullable<Text>,
        phone_reversed -> Nullable<Text>,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        email_confirmed -> Bool,
        preferred_language -> Text,
        interpreter_needed -> Bool,
        details -> Binary,
        identifiers -> Text,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        reminders_wanted -> Bool,
        replaced_by -> Nullable<types::Uid>,
        retired_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_merges (id) {
        id -> types::Uid,
        survivor_id -> types::Uid,
        duplicate_id -> types::Uid,
        reason -> Binary,
        merged_by -> types::Uid,
        merged_at -> types::Instant,
        undone_by -> Nullable<types::Uid>,
        undone_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_retirements (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        reason -> Binary,
        retired_by -> types::Uid,
        retired_at -> types::Instant,
        undone_by -> Nullable<types::Uid>,
        undone_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_merge_flags (id) {
        id -> types::Uid,
        merge_id -> types::Uid,
        flag -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_merge_rows (merge_id, table_name, row_id) {
        merge_id -> types::Uid,
        table_name -> Text,
        row_id -> types::Uid,
        version -> Nullable<Integer>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_name_prefixes (prefix, created_at, patient_id) {
        prefix -> Text,
        created_at -> types::Instant,
        patient_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_access (user_id, patient_id) {
        user_id -> types::Uid,
        patient_id -> types::Uid,
        relation -> Text,
        verified_at -> Nullable<types::Instant>,
        verified_by -> Nullable<types::Uid>,
        granted_by -> Nullable<types::Uid>,
        created_at -> types::Instant,
        ends_on -> Nullable<types::Day>,
        ends_at -> Nullable<types::Instant>,
        end_told_at -> Nullable<types::Instant>,
        pending -> Bool,
        confirmed_at -> Nullable<types::Instant>,
        confirmed_by -> Nullable<types::Uid>,
        stopped_at -> Nullable<types::Instant>,
        stopped_by -> Nullable<types::Uid>,
        for_minor -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    access_links (id) {
        id -> types::Uid,
        user_id -> types::Uid,
        patient_id -> types::Uid,
        token_hash -> Binary,
        created_at -> types::Instant,
        relation -> Text,
        given_by -> Nullable<types::Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    access_givers (user_id, patient_id, practitioner_id) {
        user_id -> types::Uid,
        patient_id -> types::Uid,
        practitioner_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    record_guards (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        user_id -> Nullable<types::Uid>,
        until -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_invitations (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        email -> Text,
        email_key -> Text,
        relation -> Text,
        token_hash -> Binary,
        invited_by -> types::Uid,
        created_at -> types::Instant,
        expires_at -> types::Instant,
        used_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    consent_documents (consent_type, version, language) {
        consent_type -> Text,
        version -> Integer,
        language -> Text,
        text -> Text,
        published_at -> types::Instant,
        published_by -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    consents (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        consent_type -> Text,
        document_version -> Text,
        decision -> Text,
        method -> Text,
        signer -> Text,
        recorded_by -> Nullable<types::Uid>,
        signed_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    locations (id) {
        id -> types::Uid,
        name -> Text,
        address -> Text,
        phone -> Text,
        country -> Text,
        time_zone -> Text,
        slot_minutes -> Integer,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        zone_scan_due -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    visit_types (id) {
        id -> types::Uid,
        name -> Text,
        public_name -> Text,
        duration_minutes -> Integer,
        online_bookable -> Bool,
        booking_notice_minutes -> Integer,
        cancel_notice_minutes -> Integer,
        active -> Bool,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        buffer_before_minutes -> Integer,
        buffer_after_minutes -> Integer,
        public_name_es -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    practitioners (id) {
        id -> types::Uid,
        name -> Text,
        active -> Bool,
        identifiers -> Text,
        version -> Integer,
        availability_version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    practitioner_visit_types (practitioner_id, visit_type_id) {
        practitioner_id -> types::Uid,
        visit_type_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    practitioner_locations (practitioner_id, location_id) {
        practitioner_id -> types::Uid,
        location_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    availability (id) {
        id -> types::Uid,
        practitioner_id -> types::Uid,
        location_id -> types::Uid,
        weekday -> Integer,
        start_minute -> Integer,
        end_minute -> Integer,
        valid_from -> Nullable<types::Day>,
        valid_until -> Nullable<types::Day>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    holds (id) {
        id -> types::Uid,
        user_id -> Nullable<types::Uid>,
        slot_id -> types::Uid,
        visit_type_id -> types::Uid,
        expires_at -> types::Instant,
        renewed -> Bool,
        created_at -> types::Instant,
        place -> Integer,
        secret_hash -> Nullable<Binary>,
        caller -> Nullable<Binary>,
        network -> Nullable<Binary>,
        reserved -> Bool,
        offered -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    slots (id) {
        id -> types::Uid,
        practitioner_id -> types::Uid,
        location_id -> types::Uid,
        starts_at -> types::Instant,
        ends_at -> types::Instant,
        appointment_id -> Nullable<types::Uid>,
        hold_id -> Nullable<types::Uid>,
        held_until -> Nullable<types::Instant>,
        blocked_reason -> Nullable<Binary>,
        off_plan -> Nullable<Text>,
        off_plan_since -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    practitioner_exceptions (id) {
        id -> types::Uid,
        practitioner_id -> types::Uid,
        kind -> Text,
        starts_at -> types::Instant,
        ends_at -> types::Instant,
        location_id -> Nullable<types::Uid>,
        reason -> Binary,
        created_by -> types::Uid,
        created_at -> types::Instant,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    location_closures (id) {
        id -> types::Uid,
        location_id -> types::Uid,
        day -> Nullable<types::Day>,
        starts_at -> Nullable<types::Instant>,
        ends_at -> Nullable<types::Instant>,
        name -> Text,
        created_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    appointments (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        practitioner_id -> types::Uid,
        location_id -> types::Uid,
        visit_type_id -> types::Uid,
        starts_at -> types::Instant,
        ends_at -> types::Instant,
        status -> Text,
        confirmation_code -> Text,
        sequence -> Integer,
        note -> Nullable<Binary>,
        identifiers -> Text,
        booked_by -> Nullable<types::Uid>,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        self_placed -> Bool,
        busy_from -> types::Instant,
        busy_until -> types::Instant,
        overbooked -> Bool,
        resources -> Text,
        confirmed_at -> Nullable<types::Instant>,
        promised_local -> Nullable<Text>,
        promised_zone -> Nullable<Text>,
        promised_tz -> Nullable<Text>,
        zone_checked -> Nullable<Text>,
        zone_changed_since -> Nullable<types::Instant>,
        remind_at -> Nullable<types::Instant>,
        late_cancelled -> Bool,
        cancel_notice_minutes -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    calendar_feeds (id) {
        id -> types::Uid,
        practitioner_id -> types::Uid,
        token_hash -> Binary,
        created_by -> types::Uid,
        created_at -> types::Instant,
        revoked_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    reminders (appointment_id, sequence, minutes) {
        appointment_id -> types::Uid,
        sequence -> Integer,
        minutes -> Integer,
        created_at -> types::Instant,
    }
}

diesel::table! {
    reminder_plan (id) {
        id -> Integer,
        rules -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    appointment_history (id) {
        id -> types::Uid,
        appointment_id -> types::Uid,
        at -> types::Instant,
        actor_id -> Nullable<types::Uid>,
        action -> Text,
        from_status -> Nullable<Text>,
        to_status -> Text,
        practitioner_id -> types::Uid,
        location_id -> types::Uid,
        starts_at -> types::Instant,
        ends_at -> types::Instant,
        reason -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    appointment_links (id) {
        id -> types::Uid,
        appointment_id -> types::Uid,
        user_id -> Nullable<types::Uid>,
        token_hash -> Binary,
        created_at -> types::Instant,
        revoked_at -> Nullable<types::Instant>,
        revoked_by -> Nullable<types::Uid>,
        address_hash -> Nullable<Binary>,
        purpose -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    appointment_series (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        created_by -> types::Uid,
        created_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    appointment_series_visits (series_id, position) {
        series_id -> types::Uid,
        position -> Integer,
        appointment_id -> types::Uid,
        min_gap_days -> Integer,
        max_gap_days -> Nullable<Integer>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    messages (id) {
        id -> types::Uid,
        kind -> Text,
        status -> Text,
        recipient_name -> Nullable<Text>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        language -> Text,
        patient_id -> Nullable<types::Uid>,
        appointment_id -> Nullable<types::Uid>,
        payload -> Binary,
        attempts -> Integer,
        resends -> Integer,
        due_at -> types::Instant,
        last_error -> Nullable<Text>,
        created_at -> types::Instant,
        sent_at -> Nullable<types::Instant>,
        done_at -> Nullable<types::Instant>,
        done_by -> Nullable<types::Uid>,
        note -> Nullable<Binary>,
        email_key -> Nullable<Text>,
        updated_at -> types::Instant,
        rejected_attempts -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    refused_mailboxes (digest) {
        digest -> Binary,
        message_id -> types::Uid,
        code -> Integer,
        refused_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    idempotency_keys (actor_id, operation, key) {
        actor_id -> types::Uid,
        operation -> Text,
        key -> Text,
        result -> Binary,
        created_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    intakes (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        form -> Text,
        form_version -> Text,
        status -> Text,
        answers -> Binary,
        computed -> Nullable<Binary>,
        review -> Nullable<Binary>,
        void_reason -> Nullable<Binary>,
        copied_from -> Nullable<types::Uid>,
        version -> Integer,
        authored_at -> types::Instant,
        submitted_at -> Nullable<types::Instant>,
        reviewed_at -> Nullable<types::Instant>,
        reviewed_by -> Nullable<types::Uid>,
        created_by -> types::Uid,
        updated_by -> types::Uid,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        due_at -> Nullable<types::Instant>,
        rule_set -> Nullable<Integer>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    intake_versions (id) {
        id -> types::Uid,
        intake_id -> types::Uid,
        version -> Integer,
        form_version -> Text,
        status -> Text,
        answers -> Binary,
        computed -> Nullable<Binary>,
        review -> Nullable<Binary>,
        reason -> Binary,
        authored_at -> types::Instant,
        authored_by -> types::Uid,
        reviewed_at -> Nullable<types::Instant>,
        reviewed_by -> Nullable<types::Uid>,
        replaced_at -> types::Instant,
        replaced_by -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    intake_flags (id) {
        id -> types::Uid,
        intake_id -> Nullable<types::Uid>,
        patient_id -> types::Uid,
        urgency -> Text,
        rule -> Binary,
        owner_id -> Nullable<types::Uid>,
        raised_at -> types::Instant,
        withdrawn_at -> Nullable<types::Instant>,
        mailed_at -> Nullable<types::Instant>,
        acknowledged_at -> Nullable<types::Instant>,
        acknowledged_by -> Nullable<types::Uid>,
        note -> Nullable<Binary>,
        appointment_id -> Nullable<types::Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    follow_ups (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        status -> Text,
        reason -> Text,
        due_on -> types::Day,
        counts_from -> types::Day,
        appointment_id -> Nullable<types::Uid>,
        asked_at -> Nullable<types::Instant>,
        answer_by -> Nullable<types::Instant>,
        intake_id -> Nullable<types::Uid>,
        version -> Integer,
        created_by -> types::Uid,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        planned_by_service -> Bool,
        cancelled_by_visit -> Nullable<types::Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    waitlist_entries (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        visit_type_id -> types::Uid,
        appointment_id -> Nullable<types::Uid>,
        status -> Text,
        urgency -> Text,
        wishes -> Text,
        from_date -> Nullable<types::Day>,
        to_date -> Nullable<types::Day>,
        version -> Integer,
        created_by -> types::Uid,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        lapses -> Integer,
        search_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    waitlist_offers (id) {
        id -> types::Uid,
        entry_id -> types::Uid,
        patient_id -> types::Uid,
        slot_id -> types::Uid,
        practitioner_id -> types::Uid,
        location_id -> types::Uid,
        starts_at -> types::Instant,
        ends_at -> types::Instant,
        status -> Text,
        way -> Text,
        hold_id -> Nullable<types::Uid>,
        appointment_id -> Nullable<types::Uid>,
        made_by -> Nullable<types::Uid>,
        expires_at -> types::Instant,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
        time_zone -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    waitlist_offer_links (id) {
        id -> types::Uid,
        offer_id -> types::Uid,
        user_id -> Nullable<types::Uid>,
        address_digest -> Binary,
        token_hash -> Binary,
        code_digest -> Binary,
        created_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    freed_times (id) {
        id -> BigInt,
        practitioner_id -> Nullable<types::Uid>,
        day -> types::Instant,
        due_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    follow_up_links (id) {
        id -> types::Uid,
        follow_up_id -> types::Uid,
        user_id -> Nullable<types::Uid>,
        is_patient -> Bool,
        token_hash -> Binary,
        created_at -> types::Instant,
        code_digest -> Nullable<Binary>,
        email_key -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    lab_results (id) {
        id -> types::Uid,
        patient_id -> types::Uid,
        result -> Binary,
        created_by -> types::Uid,
        created_at -> types::Instant,
        status -> Text,
        version -> Integer,
        updated_by -> Nullable<types::Uid>,
        updated_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    lab_result_versions (id) {
        id -> types::Uid,
        lab_result_id -> types::Uid,
        version -> Integer,
        status -> Text,
        result -> Binary,
        reason -> Binary,
        authored_at -> types::Instant,
        authored_by -> types::Uid,
        replaced_at -> types::Instant,
        replaced_by -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    audit_keys (id) {
        id -> types::Uid,
        secret -> Binary,
        created_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    audit_events (id) {
        id -> types::Uid,
        at -> types::Instant,
        actor_id -> Nullable<types::Uid>,
        role -> Nullable<Text>,
        operation -> Text,
        outcome -> Text,
        status -> Nullable<Integer>,
        patient_id -> Nullable<types::Uid>,
        object_id -> Nullable<types::Uid>,
        address -> Nullable<Text>,
        request_id -> Nullable<Text>,
        times -> Integer,
        key_id -> types::Uid,
        mac -> Binary,
        shown -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    audit_event_patients (patient_id, at, event_id) {
        patient_id -> types::Uid,
        at -> types::Instant,
        event_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    audit_seals (seq) {
        seq -> BigInt,
        event_id -> types::Uid,
        key_id -> types::Uid,
        hmac -> Binary,
        at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    audit_purges (upto_seq) {
        upto_seq -> BigInt,
        closing_hmac -> Binary,
        at -> types::Instant,
        key_id -> types::Uid,
        mac -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    record_openings (id) {
        id -> types::Uid,
        user_id -> types::Uid,
        patient_id -> types::Uid,
        reason -> Binary,
        opened_at -> types::Instant,
        expires_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    patient_identifiers (system, value) {
        system -> Text,
        value -> Text,
        patient_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    practitioner_identifiers (system, value) {
        system -> Text,
        value -> Text,
        practitioner_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    appointment_identifiers (system, value) {
        system -> Text,
        value -> Text,
        appointment_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    sealing_keys (id) {
        id -> Text,
        proof -> Binary,
        first_used_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    resources (id) {
        id -> types::Uid,
        name -> Text,
        version -> Integer,
        created_at -> types::Instant,
        updated_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    resource_units (id) {
        id -> types::Uid,
        resource_id -> types::Uid,
        location_id -> types::Uid,
        number -> Integer,
        in_use -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    visit_type_resources (visit_type_id, resource_id) {
        visit_type_id -> types::Uid,
        resource_id -> types::Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    resource_occupancy (id) {
        id -> types::Uid,
        unit_id -> types::Uid,
        busy_from -> types::Instant,
        busy_until -> types::Instant,
        appointment_id -> Nullable<types::Uid>,
        hold_id -> Nullable<types::Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    events (id) {
        id -> BigInt,
        seq -> Nullable<BigInt>,
        kind -> Text,
        subject_type -> Text,
        subject_id -> types::Uid,
        subject_version -> Nullable<Integer>,
        patient_id -> Nullable<types::Uid>,
        practitioner_id -> Nullable<types::Uid>,
        location_id -> Nullable<types::Uid>,
        occurred_at -> Nullable<types::Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    webhook_endpoints (id) {
        id -> types::Uid,
        url -> Text,
        description -> Nullable<Text>,
        event_types -> Text,
        secret -> Binary,
        secret_created_at -> types::Instant,
        previous_secret -> Nullable<Binary>,
        previous_secret_created_at -> Nullable<types::Instant>,
        previous_secret_ends_at -> Nullable<types::Instant>,
        status -> Text,
        paused_reason -> Nullable<Text>,
        paused_at -> Nullable<types::Instant>,
        delivered_through_seq -> BigInt,
        redeliver_from_seq -> Nullable<BigInt>,
        redeliver_through_seq -> Nullable<BigInt>,
        missing_from_seq -> Nullable<BigInt>,
        missing_through_seq -> Nullable<BigInt>,
        failing_since -> Nullable<types::Instant>,
        failed_attempts -> Integer,
        next_attempt_at -> Nullable<types::Instant>,
        leased_until -> Nullable<types::Instant>,
        version -> Integer,
        created_by -> types::Uid,
        created_at -> types::Instant,
        updated_at -> types::Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types;

    webhook_attempts (id) {
        id -> types::Uid,
        endpoint_id -> types::Uid,
        kind -> Text,
        event_seq -> Nullable<BigInt>,
        through_seq -> Nullable<BigInt>,
        attempted_at -> types::Instant,
        duration_ms -> Integer,
        status_code -> Nullable<Integer>,
        failure -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    patient_identifiers,
    practitioner_identifiers,
    appointment_identifiers,
    audit_keys,
    audit_events,
    audit_event_patients,
    audit_seals,
    audit_purges,
    record_openings,
    users,
    clients,
    client_secrets,
    client_assertions,
    address_requests,
    new_accounts,
    sessions,
    refresh_tokens,
    one_time_tokens,
    database_marks,
    zone_data,
    setup_state,
    patients,
    patient_merges,
    patient_merge_flags,
    patient_merge_rows,
    patient_retirements,
    patient_name_prefixes,
    patient_access,
    access_links,
    access_givers,
    record_guards,
    patient_invitations,
    consent_documents,
    consents,
    locations,
    visit_types,
    practitioners,
    practitioner_visit_types,
    practitioner_locations,
    availability,
    holds,
    slots,
    resources,
    resource_units,
    visit_type_resources,
    resource_occupancy,
    practitioner_exceptions,
    location_closures,
    appointments,
    reminders,
    reminder_plan,
    appointment_history,
    appointment_links,
    calendar_feeds,
    appointment_series,
    appointment_series_visits,
    messages,
    refused_mailboxes,
    idempotency_keys,
    intakes,
    intake_versions,
    intake_flags,
    lab_results,
    lab_result_versions,
    follow_ups,
    follow_up_links,
    waitlist_entries,
    waitlist_offers,
    waitlist_offer_links,
    freed_times,
    events,
    webhook_endpoints,
    webhook_attempts,
);

diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(clients -> users (user_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(one_time_tokens -> users (user_id));
