// The script of the pages behind the links in mails. It calls the public API like any other client.
//
// The link's token is in the fragment, which no server sees. It stays in the address bar while it works, so that the page can be
// reloaded. A used token is removed or replaced by the token of the next step. Everything with an effect needs a button, because mail
// scanners open links. Viewing an appointment or the questions of a follow-up has no effect, so they are shown at once.
"use strict";

(() => {
  const page = document.body.dataset.page;
  const lang = document.documentElement.lang;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const fragment = (name) => new URLSearchParams(location.hash.slice(1)).get(name) ?? "";
  const token = () => fragment("token");
  /** The token that sets the password of an account whose address was just verified. */
  const passwordToken = () => fragment("password-token");

  /** Shows one part of the page and moves the focus there, unless the page has just opened. */
  function show(state, quietly = false) {
    for (const section of all("[data-state]")) section.hidden = section.dataset.state !== state;
    const heading = one(`[data-state="${state}"] h1`);
    document.title = document.title.replace(/^.*?(?= – )/, heading.textContent);
    if (!quietly) heading.focus();
  }

  /** Calls the API, without a body by GET. Failures are outcomes: `offline`, `busy`, `failed`. */
  async function call(path, body) {
    const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let response;
    try {
      response = await fetch(`v1/${path}`, {
        ...(body && post),
        credentials: "omit",
        signal: AbortSignal.timeout(20000),
      });
    } catch {
      return { outcome: "offline" };
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return { outcome: "done", answer };
    if (response.status === 429 || response.status === 503) return { outcome: "busy" };
    if ([404, 409, 422].includes(response.status)) return { outcome: "refused", status: response.status, answer };
    return { outcome: "failed" };
  }

  /** Removes all errors of a form. */
  function clear(form) {
    for (const error of all("[data-error], [data-code], [data-said]", form)) {
      if ("said" in error.dataset) error.remove();
      else error.hidden = true;
    }
    for (const field of all("[aria-invalid]", form)) field.removeAttribute("aria-invalid");
  }

  /** Shows an error of the whole form. */
  function showFormError(form, outcome) {
    one(`[data-error="${outcome}"]`, form).hidden = false;
  }

  /** Shows the errors of a problem document at their fields, in the page's text or the server's. Returns whether it could. */
  function explain(form, errors = []) {
    let first = null;
    for (const { pointer, code, detail } of errors) {
      const place = one(`[data-field="${CSS.escape(pointer)}"]`, form);
      if (!place) continue;
      const ours = one(`[data-code="${CSS.escape(code)}"]`, place);
      if (ours) {
        ours.hidden = false;
      } else if (lang === "en" && detail) {
        const said = document.createElement("span");
        said.dataset.said = "";
        said.textContent = `This ${detail}.`;
        place.append(said);
      } else {
        one('[data-code="*"]', place).hidden = false;
      }
      const field = one(`[aria-describedby~="${place.id}"]`, form);
      field.setAttribute("aria-invalid", "true");
      first ??= field;
    }
    first?.focus();
    return first !== null;
  }

  const value = (form, name) => form.elements[name].value;
  const asksFor = (result, pointer) =>
    result.answer.errors?.some((error) => error.pointer === pointer && error.code === "required");
  const spent = (answer) => (answer.errors ?? []).some((error) => error.pointer === "/token");
  /** Replaces the fragment. The link to the other language gets the new one. */
  const remember = (hash) => { history.replaceState(null, "", location.pathname + location.search + hash); follow(); };
  /** Removes a used token from the history. */
  const forget = () => remember("");

  const mailbox = (path) => ({
    run: (form) => call(path, { email: value(form, "email").trim() }),
    done: () => show("sent"),
  });
  const usesToken = (run, finished = "done") => ({
    run,
    done: () => { forget(); show(finished); },
    refused: (result) => {
      if (!spent(result.answer)) return false;
      forget();
      show("gone");
      return true;
    },
  });

  /** Accepts an invitation. A person without an account must choose a password first. */
  const accepts = (run) => {
    const action = usesToken(run);
    return {
      ...action,
      refused: (result) => {
        if (action.refused(result)) return true;
        if (result.status === 409) show("hindered");
        else if (asksFor(result, "/new_password")) show("account");
        else return false;
        return true;
      },
    };
  };

  /** The form that signs in with a password that was just chosen. A page that was reloaded meanwhile does not know the address. */
  const enter = one("[data-enter]");
  function offerToEnter(password) {
    if (!enter?.elements.email.value) return;
    enter.elements.password.value = password;
    enter.hidden = false;
    one('[data-part="to-sign-in"]').hidden = true;
  }

  /** Leads from the sign-in to the questions before a visit, if there is one. */
  function leadTo(visit) {
    for (const part of all('[data-part="visit"]')) part.hidden = !visit;
    if (!visit) return;
    const next = `visits/${encodeURIComponent(visit)}/history`;
    for (const link of all("a[data-next]")) link.href = `sign-in?next=${next}&lang=${lang}`;
    if (enter) enter.elements.next.value = next;
  }

  /** The token of the link that verified the address. It books another time if its own was missed. */
  let followed = "";

  /** A new address of an account is confirmed with the account's password. */
  const verifying = usesToken(() => call("email-verifications", { token: token() }));

  const actions = {
    verify: {
      ...verifying,
      refused: (result) => {
        if (verifying.refused(result)) return true;
        if (!asksFor(result, "/current_password")) return false;
        show("prove");
        return true;
      },
      done: async ({ answer }) => {
        followed = token();
        // A link that was followed before gives no other token, and stays in the address bar with its visit.
        if (answer.password_token) remember(`#password-token=${answer.password_token}`);
        else if (!answer.appointment) forget();
        for (const part of all('[data-part="no-password"]')) part.hidden = !answer.password_token;
        for (const part of all('[data-part="has-password"]')) part.hidden = !!answer.password_token;
        // For password managers.
        for (const field of all("[data-address]")) field.value = answer.email ?? "";
        if (answer.appointment) await tellBooked(answer.appointment);
        if (answer.not_booked) await tellMissed(answer.not_booked.next_free);
        show(answer.appointment ? "booked" : answer.not_booked ? "missed" : answer.password_token ? "password" : "done");
      },
    },
    "other-time": {
      run: (_, { value }) => call("email-verifications", { token: followed, slot_id: value }),
      done: async ({ answer }) => {
        if (answer.appointment) {
          await tellBooked(answer.appointment);
          return show("booked");
        }
        await tellMissed(answer.not_booked.next_free);
        one('[data-part="gone-too"]').hidden = false;
        show("missed");
      },
      refused: (result) => {
        if (spent(result.answer)) show("gone");
        return spent(result.answer);
      },
    },
    "verify-with-password": usesToken((form) =>
      call("email-verifications", {
        token: token(),
        current_password: value(form, "current-password"),
        ...(value(form, "code").trim() && { totp_code: value(form, "code").trim() }),
      })),
    "set-first-password": usesToken((form) => {
      offerToEnter(value(form, "password"));
      return call("password-resets/confirm", { token: passwordToken(), new_password: value(form, "password") });
    }, "ready"),
    "set-password": usesToken((form) =>
      call("password-resets/confirm", { token: token(), new_password: value(form, "password") })),
    accept: accepts(() => call("invitations/accept", { token: token() })),
    "accept-with-account": accepts((form) =>
      call("invitations/accept", {
        token: token(),
        new_password: value(form, "password"),
        ...(value(form, "name").trim() && { name: value(form, "name") }),
      })),
    "stop-access": usesToken(() => call("access-objections", { token: token() })),
    "ask-reset": mailbox("password-resets"),
    view: { run: () => viewers[page](), done: () => {}, refused: () => true },
    "follow-up": {
      run: (form) => call("follow-up-links/answer", { token: token(), answers: answers(form) }),
      done: ({ answer }) => thank(answer.notices),
      refused: ({ status }) => {
        if (status === 422) return false;
        if (status === 409) {
          one("[data-late]").hidden = false;
          thank([]);
        } else show("gone");
        return true;
      },
    },
    "claim-offer": answeringOffer("claim"), "decline-offer": answeringOffer("decline"),
    cancel: changing((form) => call("appointment-links/cancel", { token: token(), reason: value(form, "reason") })),
    confirm: changing(() => call("appointment-links/confirm", { token: token() })),
    "free-times": { reads: true, run: firstDay, done: ({ answer }) => tellTimes(answer) },
    day: { reads: true, run: (_, { value }) => timesOn(value), done: ({ answer }) => tellTimes(answer) },
    days: { reads: true, run: (_, { value }) => daysFrom(value), done: ({ answer }) => tellDays(answer) },
    move: {
      ...changing(() => call("appointment-links/reschedule", { token: token(), slot_id: chosen.id }), true),
      refused: (result) => {
        if (["status_conflict", "cancel_notice", "not_found"].includes(result.answer.code)) view();
        else show("unfit");
        return true;
      },
    },
  };

  /** A change of the appointment, which the page then shows. */
  function changing(run, moved = false) {
    return {
      run,
      done: ({ answer }) => { tell(answer, moved); show("shown"); },
      refused: ({ status }) => {
        if (status === 422) return false;
        // It changed after it was shown: it is too late, the patient has checked in, or the link was revoked.
        view();
        return true;
      },
    };
  }

  for (const form of all("form[data-do]")) {
    const { run, done, refused, reads } = actions[form.dataset.do];
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = event.submitter ?? one('button[type="submit"]', form);
      // Not `disabled`, because that would take the focus from the button.
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      clear(form);
      const result = await run(form, button);
      button.removeAttribute("aria-disabled");
      // Another part of the page was opened while it loaded.
      if (reads && form.closest("[data-state]").hidden) return;
      if (result.outcome === "done") await done(result);
      else if (result.outcome !== "refused") showFormError(form, result.outcome);
      else if (!refused?.(result) && !explain(form, result.answer.errors)) showFormError(form, "failed");
    });
  }

  // Opening, closing, showing a password.
  for (const opener of all("[data-open]")) {
    const form = document.getElementById(opener.dataset.open);
    const open = (yes) => {
      form.hidden = !yes;
      opener.hidden = yes;
      opener.setAttribute("aria-expanded", String(yes));
      (yes ? one("h2", form) : opener).focus();
    };
    opener.addEventListener("click", () => open(true));
    one("[data-close]", form).addEventListener("click", () => open(false));
  }
  for (const button of all("[data-show]")) button.addEventListener("click", () => show(button.dataset.show));
  for (const toggle of all("[data-toggle]")) {
    const field = document.getElementById(toggle.dataset.toggle);
    toggle.addEventListener("click", () => {
      const shown = field.type === "password";
      field.type = shown ? "text" : "password";
      toggle.setAttribute("aria-pressed", String(shown));
      for (const words of all("[data-when]", toggle)) words.hidden = words.dataset.when !== String(shown);
    });
  }

  // Times and places.
  const minute = { hour: "numeric", minute: "2-digit" };
  /** Says times in a zone, with the 12-hour clock in both languages, as in mails. */
  const sayIn = (timeZone) => (at, form) =>
    new Intl.DateTimeFormat(`${lang}-US`, { timeZone, ...form }).format(new Date(at));
  /** The day and the times of a visit, in its location's zone. */
  function whenOf({ starts_at, ends_at, time_zone }) {
    const say = sayIn(time_zone);
    return {
      when: say(starts_at, { weekday: "long", year: "numeric", month: "long", day: "numeric" }),
      time: `${say(starts_at, minute)} – ${say(ends_at, { ...minute, timeZoneName: "short" })}`,
    };
  }
  /** The patient, time and place of a visit. */
  const factsOf = ({ location, first_name, visit, practitioner, ...time }) => ({
    ...whenOf(time), first_name, visit, practitioner, location: location.name, address: location.address, phone: location.phone_display,
  });
  /** Says an instant in a zone, such as the end of a notice period. */
  const limitIn = (zone) => (at) => at && sayIn(zone)(at, { weekday: "long", month: "long", day: "numeric", ...minute });
  /** Shows facts at their places. */
  function fill(facts, phone) {
    for (const [name, text] of Object.entries(facts)) {
      for (const place of all(`[data-fact="${name}"]`)) {
        place.textContent = text;
        if (name === "phone") place.href = `tel:${phone}`;
      }
    }
  }
  /** Reads a public object; null if it cannot be read now. */
  async function read(path) {
    try {
      const response = await fetch(`v1/${path}`, { credentials: "omit", signal: AbortSignal.timeout(5000) });
      return response.ok ? await response.json() : null;
    } catch {
      return null;
    }
  }

  const locationOf = ({ location_id }) => read(`locations/${location_id}`);

  // A visit that the verification of an address booked, or could not book.
  async function tellBooked(appointment) {
    fill({ ...whenOf(appointment), confirmation_code: appointment.confirmation_code });
    // A page that is reloaded before the password is set still leads to the visit.
    if (passwordToken()) remember(`#password-token=${passwordToken()}&visit=${appointment.id}`);
    leadTo(appointment.id);
    const [place, kind, practitioner] = await Promise.all([
      locationOf(appointment), read(`visit-types/${appointment.visit_type_id}`), read(`practitioners/${appointment.practitioner_id}`),
    ]);
    for (const [name, known] of Object.entries({ place, kind, practitioner })) {
      for (const part of all(`[data-part="${name}"]`)) part.hidden = !known;
    }
    if (kind) fill({ visit: (lang === "es" && kind.public_name_es) || kind.public_name });
    if (practitioner) fill({ practitioner: practitioner.name });
    if (place) fill({ location: place.name, address: place.address, phone: place.phone_display }, place.phone);
  }

  async function tellMissed(slots) {
    one('[data-part="times"]').hidden = slots.length === 0;
    const buttons = slots.map(async (slot) => {
      const { when, time } = whenOf(slot);
      const place = await locationOf(slot);
      const button = makeButton("submit", `${when}, ${time}${place ? `, ${place.name}` : ""}`);
      button.value = slot.id;
      return button;
    });
    list(one("[data-times]"), await Promise.all(buttons));
  }

  // The appointment.
  let shown;
  function tell(appointment, moved = false) {
    shown = appointment;
    const limit = limitIn(appointment.time_zone);
    const facts = {
      ...factsOf(appointment),
      confirmation_code: appointment.confirmation_code,
      changeable_until: limit(appointment.changeable_until),
      cancellable_until: limit(appointment.cancellable_until),
    };
    fill(facts, appointment.location.phone);
    const calendar = one('[data-fact="calendar"]');
    URL.revokeObjectURL(calendar.href);
    calendar.href = URL.createObjectURL(new Blob([appointment.calendar], { type: "text/calendar" }));
    const cancelled = appointment.status === "cancelled";
    for (const part of all("[data-status]")) part.hidden = (part.dataset.status === "cancelled") !== cancelled;
    const open = appointment.status === "booked" && new Date(appointment.starts_at) > new Date();
    one('[data-part="moved"]').hidden = !moved;
    one('[data-part="time-open"]').hidden = !appointment.is_time_open || !open;
    one('[data-part="can-confirm"]').hidden = !appointment.can_confirm;
    one('[data-part="confirmed"]').hidden = !appointment.confirmed_at;
    one('[data-part="can-move"]').hidden = !appointment.can_move;
    one('[data-part="can-cancel"]').hidden = !appointment.can_cancel;
    one('[data-part="too-late"]').hidden = appointment.can_cancel || !open;
    one('[data-part="over"]').hidden = appointment.can_cancel || open;
  }

  // Another time for it.
  let chosen;
  const search = () => `visit_type_id=${shown.visit_type_id}&practitioner_id=${shown.practitioner_id}`;
  const timesOn = (day) => call(`slots?${search()}&date=${day}&include=location&limit=200`);
  const plusDays = (day, days) => new Date(Date.parse(day) + days * 864e5).toISOString().slice(0, 10);
  /** The number of days that are searched at once. */
  const DAYS = 14;
  const daysFrom = (day) => call(`slots/days?${search()}&from_date=${day}&to_date=${plusDays(day, DAYS - 1)}`);
  /** The day of a time at its location, as the API writes it. */
  const dayOf = ({ starts_at, time_zone }) =>
    new Intl.DateTimeFormat("en-CA", { timeZone: time_zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(starts_at));
  const sayDay = (day) => sayIn("UTC")(day, { weekday: "long", month: "long", day: "numeric" });
  /** Finds the times of the first day that has any. */
  async function firstDay() {
    const next = await call(`slots?${search()}&limit=1`);
    return next.answer?.items?.length ? timesOn(dayOf(next.answer.items[0])) : next;
  }

  /** Shows buttons in a list. */
  function list(place, buttons) {
    place.replaceChildren(...buttons.map((button) => {
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  }
  function makeButton(type, text) {
    const button = document.createElement("button");
    button.type = type;
    button.className = "quiet";
    button.textContent = text;
    return button;
  }

  function tellTimes({ items, included }) {
    if (items.length === 0) return show("no-times");
    const say = sayIn(items[0].time_zone);
    const places = Object.fromEntries(included.locations.map(({ id, name }) => [id, name]));
    const elsewhere = items.some(({ location_id }) => places[location_id] !== shown.location.name);
    fill({ day: say(items[0].starts_at, { weekday: "long", month: "long", day: "numeric" }) });
    one('[data-do="days"] button').value = dayOf(items[0]);
    list(one("[data-times]"), items.map((slot) => {
      const place = places[slot.location_id];
      const button = makeButton("button", say(slot.starts_at, minute) + (elsewhere ? `, ${place}` : ""));
      button.addEventListener("click", () => {
        chosen = slot;
        const { when, time } = whenOf(slot);
        fill({ new_when: when, new_time: time, new_location: place });
        clear(one('[data-do="move"]'));
        show("move");
      });
      return button;
    }));
    show("times");
  }

  function tellDays({ items, next_day_with_slots }) {
    const open = items.filter(({ slots }) => slots > 0);
    if (open.length === 0 && !next_day_with_slots) return show("no-times");
    const count = (slots) => one(`[data-count="${slots === 1 ? "one" : "many"}"]`).textContent.replace("#", slots);
    list(one("[data-days]"), open.map(({ date, slots }) => {
      const button = makeButton("submit", `${sayDay(date)} – ${count(slots)}`);
      button.value = date;
      return button;
    }));
    one("[data-later]").value = next_day_with_slots ?? plusDays(items.at(-1).date, 1);
    show("days");
  }

  /** Reads what the link leads to, and shows it. */
  const viewer = (path, tellIt) => async (quietly = false) => {
    show("loading", true);
    const result = await call(path, { token: token() });
    if (result.outcome === "done") tellIt(result.answer, quietly);
    else if (result.outcome === "refused") show("gone", quietly);
    else showTrouble(result.outcome, quietly);
    return result;
  };
  const showTrouble = (outcome, quietly) => { show("trouble", quietly); showFormError(one('[data-do="view"]'), outcome); };
  const view = viewer("appointment-links/view", (appointment, quietly) => { tell(appointment); show("shown", quietly); });

  // An offer of the waitlist.
  function tellOffer(offer, quietly = false) {
    const { replaces, confirmation_code, is_waiting } = offer;
    const until = limitIn(offer.time_zone)(offer.expires_at);
    const instead_of = replaces && limitIn(replaces.time_zone)(replaces.starts_at);
    fill({ ...factsOf(offer), confirmation_code, until, instead_of }, offer.location.phone);
    const parts = { instead: replaces, waiting: is_waiting, "not-waiting": !is_waiting, booked: confirmation_code };
    for (const [name, is] of Object.entries(parts)) for (const part of all(`[data-part="${name}"]`)) part.hidden = !is;
    show(offer.appointment_status === "cancelled" ? "cancelled" : offer.status, quietly);
  }
  const viewOffer = viewer("waitlist-offer-links/view", tellOffer);
  /** Claims or declines the offer. A page that was open meanwhile shows what became of it. */
  function answeringOffer(step) { return {
    run: () => call(`waitlist-offer-links/${step}`, { token: token() }),
    done: ({ answer }) => tellOffer(answer),
    refused: ({ answer }) => {
      if (["offer_lapsed", "offer_ended", "not_found"].includes(answer.code)) viewOffer();
      else show("unfit");
      return true;
    },
  }; }

  // The follow-up.
  /** Shows the questions whose condition holds. */
  function ask(form) {
    for (const question of all("[data-if]", form)) {
      const asked = one(`[name="${CSS.escape(question.dataset.if)}"]:checked`, form)?.value;
      question.hidden = !question.dataset.values.split(" ").includes(asked);
    }
  }
  for (const form of all('[data-do="follow-up"]')) form.addEventListener("change", () => ask(form));

  /** Returns the answers to the questions that are shown, as the API takes them. */
  function answers(form) {
    const given = {};
    const put = (id, answer) => {
      const [section, name] = id.split(".");
      (given[section] ??= {})[name] = answer;
    };
    for (const { dataset, hidden, elements } of all("[data-question]", form)) {
      const values = [...elements].filter((field) => (field.type === "time" ? field.value : field.checked)).map((field) => field.value);
      if (hidden || values.length === 0) continue;
      const isNumber = ["integer", "decimal"].includes(dataset.type);
      if (isNumber && values[0] === "unknown") put(`${dataset.question}_status`, "unknown");
      else put(dataset.question, dataset.type === "choices" ? values : isNumber ? Number(values[0]) : values[0]);
    }
    return given;
  }

  /** Shows what the person who answered must see at once. */
  function thank(notices) {
    one("[data-notices]").replaceChildren(...notices.map(({ text }) => {
      const notice = document.createElement("p");
      notice.textContent = text;
      return notice;
    }));
    forget();
    show("done");
  }

  const viewFollowUp = viewer("follow-up-links/view", (answer, quietly) => {
    if (answer.status === "answered") return thank([]);
    for (const id of answer.hidden) one(`[data-question="${CSS.escape(id)}"]`)?.remove();
    one('[data-part="for-another"]').hidden = !answer.for_another;
    one('[data-fact="first_name"]').textContent = answer.first_name;
    show("shown", quietly);
  });

  /** The pages that show something at once. */
  const viewers = { appointment: view, "follow-up": viewFollowUp, "waitlist-offer": viewOffer };

  // The link to the other language keeps the token.
  const language = document.getElementById("language");
  const follow = () => { language.hash = location.hash; };
  addEventListener("hashchange", () => { follow(); begin(); });

  function begin() {
    if (passwordToken() && one('[data-state="password"]')) {
      leadTo(fragment("visit"));
      show("password", true);
    }
    // A page on which a link can be requested works without a token.
    else if (!token()) show(one('[data-state="start"]') ? "start" : "gone", true);
    else if (viewers[page]) viewers[page](true);
    else show("ask", true);
  }
  follow();
  begin();
})();
