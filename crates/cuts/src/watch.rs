//! How a cut that takes long is watched and stopped.

/// Who looks on.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Asked between calibration windows and between matrices; a cut ends without result where it says
    /// yes.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Told of the layers done and of all layers.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Default for Watch<'_> {
    /// Nobody: nothing stops a cut.
    fn default() -> Self {
        Self { stop: &|| false, progress: &|_, _| () }
    }
}
