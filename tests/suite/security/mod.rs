//! What must hold so that nobody gets in where they do not belong; the name of each test begins with the row it proves.

mod audit;
