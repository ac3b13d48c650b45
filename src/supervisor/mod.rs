//! Joins the pure machine to the world.
