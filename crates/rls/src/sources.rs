//! The publications that rules and hints rest on.

use super::rules::RuleStrength::{self, *};

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

/// The guideline for treatment.
pub const AASM_2025: Source = published(
    Guideline,
    "Winkelman et al., AASM clinical practice guideline, J Clin Sleep Med 2025;21:137",
    "https://doi.org/10.5664/jcsm.11390",
);
/// The consensus criteria and the study about mimics.
pub const CRITERIA_2014: Source = published(
    Consensus,
    "Allen et al., IRLSSG consensus criteria, Sleep Med 2014;15:860; mimics: Hening et al., Sleep Med 2009;10:976 (PMC2769267)",
    "https://doi.org/10.1016/j.sleep.2014.03.025",
);
/// The rating scale.
pub const IRLS_2003: Source = published(
    Consensus,
    "IRLSSG rating scale, Sleep Med 2003;4:121; total and bands only",
    "https://doi.org/10.1016/S1389-9457(02)00258-7",
);
/// Iron treatment.
pub const IRON_2018: Source = published(
    Consensus,
    "Allen et al., IRLSSG task force on iron treatment, Sleep Med 2018;41:27",
    "https://pubmed.ncbi.nlm.nih.gov/29425576/",
);
/// Augmentation.
pub const AUGMENTATION_2016: Source = published(
    Consensus,
    "Garcia-Borreguero et al., IRLSSG, EURLSSG and RLS-F task force on augmentation, Sleep Med 2016;21:1",
    "https://doi.org/10.1016/j.sleep.2016.01.017",
);
/// Management, with what aggravates.
pub const SILBER_2021: Source = published(
    Consensus,
    "Silber et al., updated algorithm, Mayo Clin Proc 2021;96:1921",
    "https://doi.org/10.1016/j.mayocp.2020.12.026",
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
    "Picchietti et al., consensus guidelines for pregnancy and lactation, Sleep Med Rev 2015;22:64; valproate and topiramate: FDA safety communications 2013 and 2011",
    "https://www.fda.gov/Drugs/DrugSafety/ucm350684.htm",
);
/// Symptoms by trimester.
pub const TRIMESTER: Source = published(
    Study,
    "Symptoms by trimester: BMC Neurology 2020, doi 10.1186/s12883-020-01709-0",
    "https://doi.org/10.1186/s12883-020-01709-0",
);
/// Opioids with other depressants.
pub const FDA_2016: Source = published(
    RegulatorWarning,
    "FDA 2016, boxed warnings: opioids with benzodiazepines, other depressants or alcohol",
    "https://www.fda.gov/drugs/drug-safety-and-availability/fda-drug-safety-communication-fda-warns-about-serious-risks-and-death-when-combining-opioid-pain-or",
);
/// Gabapentinoids and breathing.
pub const FDA_2019: Source = published(
    RegulatorWarning,
    "FDA 2019-12-19, safety communication: gabapentinoids and breathing; 65 years after 62 FR 45313; sleep apnea is added by clinic judgement",
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
    "Prescribing information of gabapentin, pregabalin and pramipexole: dose by creatinine clearance",
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
    "Rabe et al., risks and contraindications of medical compression, Phlebology 2020;35:447 (PMC7383414)",
    "https://doi.org/10.1177/0268355520909066",
);
/// Iron overload.
pub const OVERLOAD: Source = published(
    Study,
    "Gordeuk et al., HEIRS study, Am J Hematol 2008;83:618 (PMC3773165): thresholds for evaluation of iron overload; one threshold for all sexes by clinic judgement",
    "https://pmc.ncbi.nlm.nih.gov/articles/PMC3773165",
);
/// Doubts about samples.
pub const SAMPLES: Source = published(
    Guideline,
    "AASM 2025: morning sample, 24 hours without iron; inflammation and 12 months by clinic judgement",
    "https://doi.org/10.5664/jcsm.11390",
);
/// Safety questions.
pub const SAFETY_NET: Source = judgement(
    "Clinic judgement: common emergency warning signs of a vein clinic, asked so that nobody waits for a visit; no single publication fits",
);
/// Severe anemia.
pub const ANEMIA: Source =
    judgement("Clinic judgement: 8 g/dL is the clinic's own bound of severe anemia for a call on the same day");
/// Driving.
pub const DRIVING: Source =
    judgement("Clinic judgement: sleepiness at the wheel endangers others and should be discussed before the visit");
/// Significance.
pub const SIGNIFICANCE: Source =
    judgement("Clinic judgement: the consensus criteria name impact but no cut-off; moderate is this service's own");
/// Iron monitoring.
pub const MONITORING: Source = judgement(
    "Clinic judgement: the clinic's guide asks for regular blood tests with iron supplementation; the interval is a setting",
);
