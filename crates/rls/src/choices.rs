//! The options of the questions, with their labels.

use crate::form_dsl::choice;

choice! {
    /// A yes-or-no answer. A missing answer is none of these. The service stores `not_asked` if staff submit without
    /// the answer; forms do not offer it.
    YesNo {
        Yes = "yes", "Yes", "Sí";
        No = "no", "No", "No";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// Whether a number is known, and if not, why it is missing.
    NumberStatus {
        Known = "known", "I know the number", "Sé el número";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// What the legs feel like. `none` excludes the others.
    Sensation {
        Tingling = "tingling", "Tingling", "Hormigueo";
        Crawling = "crawling", "Crawling", "Hormigueo, como si algo caminara";
        Creeping = "creeping", "Creeping", "Sensación de algo que se arrastra";
        Itching = "itching", "Itching", "Picazón";
        Pulling = "pulling", "Pulling", "Tirantez";
        Aching = "aching", "Aching", "Dolor sordo";
        Burning = "burning", "Burning", "Ardor";
        Electric = "electric", "Electric", "Sensación eléctrica";
        Painful = "painful", "Pain", "Dolor";
        None = "none", "No such feeling", "Ninguna sensación";
        Other = "other", "Something else", "Otra";
    }

    /// Where the feelings are.
    BodySite {
        LeftLeg = "left_leg", "Left leg", "Pierna izquierda";
        RightLeg = "right_leg", "Right leg", "Pierna derecha";
        BothLegs = "both_legs", "Both legs", "Ambas piernas";
        Arms = "arms", "Arms", "Brazos";
        Other = "other", "Elsewhere", "Otro lugar";
    }

    /// How much the symptoms disturb daily life.
    ImpactLevel {
        None = "none", "Not at all", "Nada";
        Mild = "mild", "A little", "Un poco";
        Moderate = "moderate", "Quite a bit", "Bastante";
        Severe = "severe", "Very much", "Mucho";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// What the symptoms disturb.
    ImpactDomain {
        Sleep = "sleep", "Sleep", "El sueño";
        Energy = "energy", "Energy", "La energía";
        DailyActivities = "daily_activities", "Daily activities", "Las actividades diarias";
        Behavior = "behavior", "Behavior", "El comportamiento";
        Cognition = "cognition", "Memory or concentration", "La memoria o la concentración";
        Mood = "mood", "Mood", "El ánimo";
        Social = "social", "Time with others", "La vida social";
        Occupational = "occupational", "Work", "El trabajo";
        Educational = "educational", "School or study", "Los estudios";
    }

    /// Who filled in the rating scale.
    IrlsMode {
        ClinicianAdministered = "clinician_administered", "Asked by a clinician", "Preguntado por un profesional";
        SelfAdministered = "self_administered", "Filled in by the patient", "Contestado por el paciente";
    }

    /// One side of the body, or both.
    Side {
        Left = "left", "Left", "Izquierda";
        Right = "right", "Right", "Derecha";
        Both = "both", "Both", "Ambas";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// One leg.
    Limb {
        Left = "left", "Left leg", "Pierna izquierda";
        Right = "right", "Right leg", "Pierna derecha";
    }

    /// A procedure on veins.
    VeinProcedureKind {
        ThermalAblation = "thermal_ablation", "Laser or radiofrequency (heat)", "Láser o radiofrecuencia (calor)";
        NonthermalAblation = "nonthermal_ablation", "Glue or mechanical closure (no heat)", "Pegamento o cierre mecánico (sin calor)";
        FoamSclerotherapy = "foam_sclerotherapy", "Foam injections", "Inyecciones de espuma";
        LiquidSclerotherapy = "liquid_sclerotherapy", "Liquid injections", "Inyecciones de líquido";
        Phlebectomy = "phlebectomy", "Removal through small cuts", "Extracción por pequeños cortes";
        Stripping = "stripping", "Stripping", "Extirpación (safenectomía)";
    }

    /// How the restless legs changed under a treatment.
    TreatmentResponse {
        None = "none", "No change", "Sin cambio";
        Partial = "partial", "Somewhat better", "Algo mejor";
        Good = "good", "Much better", "Mucho mejor";
        Worse = "worse", "Worse", "Peor";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// How the symptoms changed since the last visit.
    ChangeSinceVisit {
        MuchBetter = "much_better", "Much better", "Mucho mejor";
        Better = "better", "Somewhat better", "Algo mejor";
        Same = "same", "About the same", "Más o menos igual";
        Worse = "worse", "Somewhat worse", "Algo peor";
        MuchWorse = "much_worse", "Much worse", "Mucho peor";
        Unknown = "unknown", "I don't know", "No lo sé";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// A test that was done.
    TestKind {
        VenousDuplex = "venous_duplex", "Ultrasound of the leg veins", "Ultrasonido o ecografía de las venas de las piernas";
        Abi = "abi", "Blood pressure at the ankles (ABI)", "Presión en los tobillos (ITB)";
        NerveConduction = "nerve_conduction", "Nerve test", "Estudio de los nervios";
        SleepStudy = "sleep_study", "Sleep study", "Estudio del sueño";
        Other = "other", "Another test", "Otro estudio";
    }

    /// The source of a test result.
    ResultSource {
        Clinician = "clinician", "A clinician", "Un profesional";
        LabReport = "lab_report", "The written report", "El informe escrito";
    }

    /// Whether something is used now, was used, or never was.
    Use {
        Never = "never", "Never", "Nunca";
        Past = "past", "In the past", "En el pasado";
        Current = "current", "Now", "Actualmente";
    }

    /// How far a stocking reaches.
    StockingLength {
        Knee = "knee", "To the knee", "Hasta la rodilla";
        Thigh = "thigh", "To the thigh", "Hasta el muslo";
    }

    /// A blood relative.
    Relative {
        Mother = "mother", "Mother", "Madre";
        Father = "father", "Father", "Padre";
        Sister = "sister", "Sister", "Hermana";
        Brother = "brother", "Brother", "Hermano";
        Son = "son", "Son", "Hijo";
        Daughter = "daughter", "Daughter", "Hija";
        Grandparent = "grandparent", "Grandparent", "Abuelo o abuela";
        AuntUncle = "aunt_uncle", "Aunt or uncle", "Tía o tío";
        Cousin = "cousin", "Cousin", "Prima o primo";
        Other = "other", "Another relative", "Otro familiar";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// Whether the patient is pregnant.
    PregnancyStatus {
        Pregnant = "pregnant", "Pregnant", "Embarazada";
        NotPregnant = "not_pregnant", "Not pregnant", "No embarazada";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotApplicable = "not_applicable", "Does not apply to me", "No me corresponde";
    }

    /// Stage of chronic kidney disease (KDIGO).
    CkdStage {
        One = "1", "Stage 1", "Etapa 1";
        Two = "2", "Stage 2", "Etapa 2";
        ThreeA = "3a", "Stage 3a", "Etapa 3a";
        ThreeB = "3b", "Stage 3b", "Etapa 3b";
        Four = "4", "Stage 4", "Etapa 4";
        Five = "5", "Stage 5", "Etapa 5";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// The type of diabetes, if any.
    DiabetesType {
        None = "none", "No diabetes", "Sin diabetes";
        Type1 = "type_1", "Type 1", "Tipo 1";
        Type2 = "type_2", "Type 2", "Tipo 2";
        Gestational = "gestational", "In pregnancy", "Del embarazo";
        Other = "other", "Another type", "Otro tipo";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
    }

    /// A laboratory test. LOINC: ferritin 2276-4, TSAT 2502-3, iron 2498-4, TIBC 2500-7, hemoglobin 718-7, CRP 1988-5.
    LabTest {
        Ferritin = "ferritin", "Ferritin", "Ferritina";
        Tsat = "tsat", "Transferrin saturation (TSAT)", "Saturación de transferrina";
        Iron = "iron", "Iron", "Hierro";
        Tibc = "tibc", "Total iron-binding capacity (TIBC)", "Capacidad total de fijación de hierro (TIBC)";
        Hemoglobin = "hemoglobin", "Hemoglobin", "Hemoglobina";
        Crp = "crp", "C-reactive protein (CRP)", "Proteína C reactiva (PCR)";
    }

    /// The unit of a laboratory value.
    LabUnit {
        NgPerMl = "ng/mL", "ng/mL", "ng/mL";
        UgPerL = "ug/L", "µg/L", "µg/L";
        Percent = "%", "%", "%";
        UgPerDl = "ug/dL", "µg/dL", "µg/dL";
        GPerDl = "g/dL", "g/dL", "g/dL";
        GPerL = "g/L", "g/L", "g/L";
        UmolPerL = "umol/L", "µmol/L", "µmol/L";
        MmolPerL = "mmol/L", "mmol/L", "mmol/L";
        MgPerL = "mg/L", "mg/L", "mg/L";
        MgPerDl = "mg/dL", "mg/dL", "mg/dL";
    }

    /// States that the true value is below or above the reported one.
    Comparator {
        Below = "<", "less than", "menos de";
        AtMost = "<=", "at most", "como máximo";
        AtLeast = ">=", "at least", "como mínimo";
        Above = ">", "more than", "más de";
    }

    /// The source of a laboratory value.
    LabSource {
        PatientReported = "patient_reported", "I was told, or I remember", "Me lo dijeron o lo recuerdo";
        LabReport = "lab_report", "A report from the laboratory", "Un informe del laboratorio";
    }

    /// Whether there are medicines to list.
    MedicationsStatus {
        Listed = "listed", "I list them here", "Las anoto aquí";
        None = "none", "I take none and took none for restless legs", "No tomo ninguna ni he tomado ninguna para las piernas inquietas";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// Whether there are allergies to list.
    AllergiesStatus {
        Listed = "listed", "Yes, I list them here", "Sí, las anoto aquí";
        None = "none", "None that I know of", "Ninguna que yo sepa";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// The class of a medicine, as far as it matters for restless legs.
    MedicineClass {
        Alpha2delta = "alpha2delta", "Gabapentin, pregabalin", "Gabapentina, pregabalina";
        Dopaminergic = "dopaminergic", "Dopamine medicine (pramipexole, ropinirole, rotigotine, levodopa)", "Medicina dopaminérgica (pramipexol, ropinirol, rotigotina, levodopa)";
        Opioid = "opioid", "Opioid", "Opioide";
        Benzodiazepine = "benzodiazepine", "Benzodiazepine", "Benzodiacepina";
        ZDrug = "z_drug", "Sleeping pill (zolpidem and similar)", "Pastilla para dormir (zolpidem y similares)";
        Barbiturate = "barbiturate", "Barbiturate", "Barbitúrico";
        MuscleRelaxant = "muscle_relaxant", "Muscle relaxant", "Relajante muscular";
        OtherAnticonvulsant = "other_anticonvulsant", "Another seizure medicine", "Otra medicina para convulsiones";
        IronOral = "iron_oral", "Iron by mouth", "Hierro por boca";
        IronIv = "iron_iv", "Iron by vein", "Hierro por vena";
        SedatingAntihistamine = "sedating_antihistamine", "Allergy or sleep medicine that makes drowsy", "Medicina para alergia o dormir que da sueño";
        Ssri = "ssri", "Antidepressant (SSRI)", "Antidepresivo (ISRS)";
        Snri = "snri", "Antidepressant (SNRI)", "Antidepresivo (IRSN)";
        Tricyclic = "tricyclic", "Antidepressant (tricyclic)", "Antidepresivo (tricíclico)";
        Mirtazapine = "mirtazapine", "Mirtazapine", "Mirtazapina";
        Antipsychotic = "antipsychotic", "Antipsychotic", "Antipsicótico";
        MetoclopramideProchlorperazine = "metoclopramide_prochlorperazine", "Nausea medicine (metoclopramide, prochlorperazine)", "Medicina para náuseas (metoclopramida, proclorperazina)";
        OtherDopamineAntagonist = "other_dopamine_antagonist", "Another medicine against dopamine (such as tetrabenazine, cinnarizine)", "Otra medicina contra la dopamina (como tetrabenazina, cinarizina)";
        Lithium = "lithium", "Lithium", "Litio";
        Other = "other", "Something else", "Otra";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// The unit of a dose.
    DoseUnit {
        Mg = "mg", "mg", "mg";
        Ug = "ug", "µg", "µg";
        G = "g", "g", "g";
        Ml = "mL", "mL", "mL";
        MgPer24h = "mg/24h", "mg per 24 hours", "mg por 24 horas";
        Tablet = "tablet", "tablet", "tableta";
        Capsule = "capsule", "capsule", "cápsula";
        Patch = "patch", "patch", "parche";
        Drop = "drop", "drop", "gota";
        Other = "other", "another unit", "otra unidad";
    }

    /// Whether a medicine is still taken.
    MedicationStatus {
        Current = "current", "I take it now", "La tomo ahora";
        Stopped = "stopped", "I stopped it", "La dejé";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// Route of administration.
    Route {
        Oral = "oral", "By mouth", "Por boca";
        Transdermal = "transdermal", "Patch on the skin", "Parche en la piel";
        Intravenous = "intravenous", "Into a vein", "En la vena";
        Injection = "injection", "Another injection", "Otra inyección";
        Other = "other", "Another way", "Otra vía";
    }

    /// An unwanted effect of a medicine.
    SideEffect {
        Sedation = "sedation", "Drowsiness", "Somnolencia";
        Dizziness = "dizziness", "Dizziness", "Mareo";
        Nausea = "nausea", "Nausea", "Náuseas";
        Edema = "edema", "Swelling", "Hinchazón";
        Constipation = "constipation", "Constipation", "Estreñimiento";
        MoodChange = "mood_change", "Change of mood", "Cambio de ánimo";
        CompulsiveBehavior = "compulsive_behavior", "Urges that are hard to resist", "Impulsos difíciles de resistir";
        SleepAttacks = "sleep_attacks", "Falling asleep without warning", "Quedarse dormido de repente";
        Falls = "falls", "Falls or unsteady walking", "Caídas o inestabilidad al caminar";
        Breathing = "breathing", "Trouble breathing", "Dificultad para respirar";
        Memory = "memory", "Trouble with memory or thinking", "Problemas de memoria o para pensar";
        Dependence = "dependence", "Hard to do without it", "Dificultad para estar sin la medicina";
        WeightGain = "weight_gain", "Weight gain", "Aumento de peso";
        Other = "other", "Something else", "Otro";
    }

    /// A lifestyle measure.
    Measure {
        Exercise = "exercise", "Exercise", "Ejercicio";
        CaffeineReduction = "caffeine_reduction", "Less caffeine", "Menos cafeína";
        StressReduction = "stress_reduction", "Less stress", "Menos estrés";
        SleepSchedule = "sleep_schedule", "Regular bedtimes", "Horario regular para acostarse y levantarse";
        SleepEnvironment = "sleep_environment", "A quiet, dark and cool place to sleep", "Un lugar tranquilo, oscuro y fresco para dormir";
    }

    /// How often a habit is kept now.
    HabitFrequency {
        EveryDay = "every_day", "Every day", "Todos los días";
        SeveralDays = "several_days_a_week", "Several days a week", "Varios días a la semana";
        OnceAWeek = "once_a_week_or_less", "Once a week or less", "Una vez a la semana o menos";
        NoLonger = "no_longer", "No longer", "Ya no";
        Unknown = "unknown", "I don't know", "No lo sé";
    }

    /// Whether a higher dose made the symptoms worse.
    DoseIncrease {
        Yes = "yes", "Yes", "Sí";
        No = "no", "No", "No";
        NotRaised = "not_raised", "The dose was never raised", "Nunca me subieron la dosis";
        Unknown = "unknown", "I don't know", "No lo sé";
        PreferNotToSay = "prefer_not_to_say", "I prefer not to say", "Prefiero no decirlo";
        NotAsked = "not_asked", "Not asked", "No se preguntó";
    }

    /// Use of nicotine.
    Nicotine {
        Never = "never", "Never", "Nunca";
        Former = "former", "In the past", "En el pasado";
        Current = "current", "Now", "Actualmente";
    }

    /// What the clinician found about conditions that mimic restless legs: criterion 5 of the IRLSSG.
    MimicReview {
        NotReviewed = "not_reviewed", "Not reviewed yet", "Aún no revisado";
        NotSolelyExplained = "not_solely_explained", "Other conditions alone do not explain the symptoms", "Otras afecciones por sí solas no explican los síntomas";
        SolelyExplained = "solely_explained", "Other conditions alone explain the symptoms", "Otras afecciones por sí solas explican los síntomas";
    }

    /// Clinical class of the CEAP classification of 2020.
    CeapClass {
        C0 = "C0", "C0", "C0";
        C1 = "C1", "C1", "C1";
        C2 = "C2", "C2", "C2";
        C2r = "C2r", "C2r", "C2r";
        C3 = "C3", "C3", "C3";
        C4a = "C4a", "C4a", "C4a";
        C4b = "C4b", "C4b", "C4b";
        C4c = "C4c", "C4c", "C4c";
        C5 = "C5", "C5", "C5";
        C6 = "C6", "C6", "C6";
        C6r = "C6r", "C6r", "C6r";
    }

    /// Suffix of the CEAP class.
    CeapSuffix {
        Symptomatic = "s", "Symptomatic", "Con síntomas";
        Asymptomatic = "a", "Asymptomatic", "Sin síntomas";
    }
}

impl DoseIncrease {
    /// Returns the answer as a feature of augmentation. `None` if the dose was never raised.
    pub fn feature(self) -> Option<YesNo> {
        match self {
            Self::Yes => Some(YesNo::Yes),
            Self::No => Some(YesNo::No),
            Self::NotRaised => None,
            Self::Unknown | Self::PreferNotToSay | Self::NotAsked => Some(YesNo::Unknown),
        }
    }
}

impl YesNo {
    /// Returns whether the answer is yes.
    pub fn is_yes(answer: Option<Self>) -> bool {
        answer == Some(Self::Yes)
    }
}
