//! What a script may say, and what a story must be.

use super::*;
