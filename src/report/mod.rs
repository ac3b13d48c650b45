//! Output of test tools: lines in, counts and failures out.
