//! The publications that rules and hints rest on.

use super::rules::RuleStrength::{self, ClinicJudgement, Consensus, Guideline, Label, RegulatorWarning, Study};

/// A publication, or the reason of a clinic judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The citation, or the reason.
    pub citation: &'static str,
    /// The address of the publication.
    pub url: Option<&'static str>,
    /// What a rule from this source rests on.
    pub strength: RuleStrength,
}

const fn published(strength: RuleStrength, citation: &'static str, url: &'static str) -> Source {
    Source { citation, url: Some(url), strength }
}

const fn judgement(citation: &'static str) -> Source {
    Source { citation, url: None, strength: ClinicJudgement }
}

/// Iron studies and their thresholds.
pub const AASM_2025: Source = published(
    Guideline,
    "Winkelman et al., AASM clinical practice guideline, J Clin Sleep Med 2025;21:137: good practice statement on iron studies, after consensus thresholds that were not tested empirically; no iron with TSAT above 45% by clinic judgement",
    "https://doi.org/10.5664/jcsm.11390",
);
/// Iron in kidney failure.
pub const AASM_2025_KIDNEY: Source = published(
    Guideline,
    "Winkelman et al., AASM clinical practice guideline, J Clin Sleep Med 2025;21:137: intravenous iron sucrose in end-stage kidney disease, conditional; stage 5 without dialysis by clinic judgement",
    "https://doi.org/10.5664/jcsm.11390",
);
/// The consensus criteria and the study about mimics.
pub const CRITERIA_2014: Source = published(
    Consensus,
    "Allen et al., IRLSSG consensus criteria, Sleep Med 2014;15:860; mimics: Hening et al., Sleep Med 2009;10:976 (PMC2769267)",
    "https://doi.org/10.1016/j.sleep.2014.03.025",
);
/// Criteria of children.
pub const CHILDREN_2013: Source = published(
    Consensus,
    "Picchietti et al., IRLSSG pediatric criteria, Sleep Med 2013;14:1253, and NIH workshop, Sleep Med 2003;4:101: the child's own words, and restless legs of a parent or sibling; sons and daughters by clinic judgement",
    "https://experts.illinois.edu/en/publications/pediatric-restless-legs-syndrome-diagnostic-criteria-an-update-by",
);
/// The rating scale.
pub const IRLS_2003: Source = published(
    Consensus,
    "IRLSSG rating scale, Sleep Med 2003;4:121; total and bands only",
    "https://doi.org/10.1016/S1389-9457(02)00258-7",
);
/// Limits of iron treatment.
pub const IRON_LIMITS: Source = published(
    Consensus,
    "Allen et al., IRLSSG task force on iron treatment, Sleep Med 2018;41:27: ferric carboxymaltose with ferritin below 300 ng/mL; TSAT above 45% by clinic judgement after the AASLD guideline on hemochromatosis (PMC3149125); not by ferritin in kidney failure by clinic judgement, because most patients on hemodialysis are above it (PMC6275147)",
    "https://pubmed.ncbi.nlm.nih.gov/29425576/",
);
/// Augmentation.
pub const AUGMENTATION: Source = published(
    Consensus,
    "Garcia-Borreguero et al., WASM and IRLSSG diagnostic standards of augmentation, Sleep Med 2007, and IRLSSG task force on augmentation, Sleep Med 2016;21:1 (doi 10.1016/j.sleep.2016.01.017), whose four questions are asked; opioids by clinic judgement",
    "https://doi.org/10.1016/j.sleep.2007.03.022",
);
/// Management, with what aggravates.
pub const SILBER_2021: Source = published(
    Consensus,
    "Silber et al., updated algorithm, Mayo Clin Proc 2021;96:1921",
    "https://www.mayoclinicproceedings.org/article/S0025-6196(20)31489-0/fulltext",
);
/// Impulse control disorders in restless legs.
pub const IMPULSE_CONTROL: Source = published(
    Study,
    "Cornelius et al., impulse control disorders with dopaminergic agents in restless legs syndrome, Sleep 2010;33:81",
    "https://pubmed.ncbi.nlm.nih.gov/20120624/",
);
/// Pregnancy and lactation.
pub const PREGNANCY_2015: Source = published(
    Consensus,
    "Picchietti et al., consensus guidelines for pregnancy and lactation, Sleep Med Rev 2015;22:64; valproate and topiramate: FDA safety communications 2013 and 2011; the list of the other medicines by clinic judgement",
    "https://www.fda.gov/Drugs/DrugSafety/ucm350684.htm",
);
/// Symptoms by trimester.
pub const TRIMESTER: Source = published(
    Study,
    "Darvishi et al., systematic review of restless legs in the third trimester, BMC Neurol 2020;20:132; the weeks are the usual obstetric ones",
    "https://doi.org/10.1186/s12883-020-01709-0",
);
/// Opioids with other depressants.
pub const FDA_2016: Source = published(
    RegulatorWarning,
    "FDA 2016-08-31, boxed warnings: opioids with benzodiazepines, other depressants of the central nervous system or alcohol; gabapentinoids: FDA 2019-12-19",
    "https://www.fda.gov/drugs/drug-safety-and-availability/fda-drug-safety-communication-fda-warns-about-serious-risks-and-death-when-combining-opioid-pain-or",
);
/// Gabapentinoids and breathing.
pub const FDA_2019: Source = published(
    RegulatorWarning,
    "FDA 2019-12-19, safety communication: gabapentinoids and breathing; 65 years after 62 FR 45313; sleep apnea by clinic judgement",
    "https://www.fda.gov/drugs/drug-safety-and-availability/fda-warns-about-serious-breathing-problems-seizure-and-nerve-pain-medicines-gabapentin-neurontin",
);
/// Trouble breathing under treatment.
pub const BREATHING: Source = published(
    RegulatorWarning,
    "FDA 2019-12-19, safety communication: gabapentinoids and breathing, patients seek medical attention at once; other treatments by clinic judgement",
    "https://www.fda.gov/drugs/drug-safety-and-availability/fda-warns-about-serious-breathing-problems-seizure-and-nerve-pain-medicines-gabapentin-neurontin",
);
/// Opioids and sleep.
pub const AASM_OPIOIDS: Source = published(
    Consensus,
    "Rosen et al., AASM position statement on chronic opioid therapy and sleep, J Clin Sleep Med 2019;15:1671",
    "https://doi.org/10.5664/jcsm.8062",
);
/// Doses in kidney disease.
pub const KIDNEY_LABELS: Source = published(
    Label,
    "Prescribing information of gabapentin, gabapentin enacarbil, pregabalin and pramipexole: dose by creatinine clearance, for all but pramipexole below 60 mL/min; gabapentin enacarbil is not recommended in restless legs on hemodialysis; stage 4 as the bound by clinic judgement",
    "https://dailymed.nlm.nih.gov/",
);
/// Sudden sleep under dopamine medicines.
pub const DOPAMINE_LABELS: Source = published(
    Label,
    "Prescribing information of pramipexole and ropinirole: falling asleep during activities of daily living",
    "https://dailymed.nlm.nih.gov/",
);
/// Compression over arterial disease.
pub const COMPRESSION_2020: Source = published(
    Consensus,
    "Rabe et al., risks and contraindications of medical compression, Phlebology 2020;35:447 (PMC7383414): contraindicated in severe arterial disease; any reported sign is reviewed by clinic judgement",
    "https://doi.org/10.1177/0268355520909066",
);
/// Iron overload.
pub const OVERLOAD: Source = published(
    Guideline,
    "Bacon et al., AASLD guideline on hemochromatosis, Hepatology 2011;54:328: TSAT from 45% or a high ferritin is evaluated; ferritin above 300 ng/mL is the threshold for men of the HEIRS study (PMC3773165), for all sexes by clinic judgement; not in kidney failure by clinic judgement, because most patients on hemodialysis are above it (median 718 ng/mL in the USA, PMC6275147)",
    "https://pmc.ncbi.nlm.nih.gov/articles/PMC3149125",
);
/// Doubts about samples.
pub const SAMPLES: Source = published(
    Guideline,
    "Winkelman et al., AASM clinical practice guideline, J Clin Sleep Med 2025;21:137: morning sample, 24 hours without iron; by clinic judgement inflammation, CRP above 5 mg/L as in surveys of ferritin (PMC4785469), and 12 months",
    "https://doi.org/10.5664/jcsm.11390",
);
/// Severe anemia.
pub const ANEMIA: Source = published(
    Consensus,
    "WHO, haemoglobin concentrations for the diagnosis of anaemia, 2011 (WHO/NMH/NHD/MNM/11.1): severe below 8.0 g/dL in men and in women who are not pregnant; the call on the same day by clinic judgement",
    "https://www.who.int/vmnis/indicators/haemoglobin/en/",
);
/// Safety questions.
pub const SAFETY_NET: Source = judgement(
    "Clinic judgement: common warning signs of emergencies in a vein clinic that must not wait for a visit; no single publication lists them",
);
/// A change of severity.
pub const CHANGE: Source = judgement(
    "Clinic judgement: no publication sets a bound for this question; 2 of 10 points is the change that patients with chronic pain call important (Farrar et al., Pain 2001;94:149)",
);
/// Driving.
pub const DRIVING: Source =
    judgement("Clinic judgement: sleepiness at the wheel endangers others and is discussed before the visit");
/// Significance.
pub const SIGNIFICANCE: Source =
    judgement("Clinic judgement: the consensus criteria name impact but no cut-off; moderate is this service's own");
/// Iron monitoring.
pub const MONITORING: Source = judgement(
    "Clinic judgement: the clinic's guide asks for regular blood tests with iron supplementation; 12 weeks after the start of iron by mouth, 8 weeks after an infusion and 6 months between tests are settings, three quarters of the first period and two years after an infusion are this service's own, and no public text that could be read states them",
);
/// The age of a ferritin result.
pub const OUT_OF_DATE: Source = judgement(
    "Clinic judgement: the guideline asks for iron studies regularly and names no interval; 12 months is this service's own",
);
/// The day that a review set.
pub const RECHECK: Source = judgement("Clinic judgement: the clinician set the day in the review of the answers");
