//! A book in memory.
