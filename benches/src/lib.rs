//! Measurements of the engine; each binary prints a table that a decision rests on.
