//! Markdown briefs and task lists: text in, briefs out.
