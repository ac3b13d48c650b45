//! What a person sees: the view model and its text.
