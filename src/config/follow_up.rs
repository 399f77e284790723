//! The intervals of follow-ups.

/// Weeks after a visit, in ascending order; none if follow-ups are off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUpWeeks(Vec<u16>);

impl FollowUpWeeks {
    /// The default.
    pub const DEFAULT: &str = "4,8,12";
    /// The greatest number of weeks.
    const MOST: u16 = 520;

    /// Returns the weeks.
    pub fn weeks(&self) -> &[u16] {
        &self.0
    }
}

impl std::str::FromStr for FollowUpWeeks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "off" {
            return Ok(Self(Vec::new()));
        }
        let weeks: Vec<u16> = text.split(',').map_while(|part| part.trim().parse().ok()).collect();
        let is_valid = weeks.iter().all(|weeks| (1..=Self::MOST).contains(weeks)) && weeks.is_sorted_by(|a, b| a < b);
        if weeks.len() != text.split(',').count() || !is_valid {
            return Err(format!(
                "must be `off` or ascending numbers of weeks from 1 to {}, such as 4,8,12",
                Self::MOST
            ));
        }
        Ok(Self(weeks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_ascending_numbers_or_off() {
        let parse = |text: &str| text.parse::<FollowUpWeeks>().map(|weeks| weeks.weeks().to_vec());
        assert_eq!(parse(FollowUpWeeks::DEFAULT), Ok(vec![4, 8, 12]));
        assert_eq!(parse("6"), Ok(vec![6]));
        assert_eq!(parse("off"), Ok(vec![]));
        for wrong in ["", "4,,8", "8,4", "4,4", "0,4", "four", "4,521"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
