//! A path as it stands in a frame: up to eight labels, held inline.

use crate::ids::Label;
use crate::limits::PATH_LABELS_MAX;
use crate::rejected::Rejected;

/// Up to [`PATH_LABELS_MAX`] labels, in the order in which the relays use them. Copying one allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    labels: [Label; PATH_LABELS_MAX],
    count: u8,
}

impl Labels {
    /// No label: the path that is a single link.
    pub const NONE: Labels = Labels { labels: [Label(0); PATH_LABELS_MAX], count: 0 };

    /// The labels of `path`, first relay first.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if there are more than [`PATH_LABELS_MAX`].
    pub fn new(path: &[Label]) -> Result<Self, Rejected> {
        path.iter().copied().try_fold(Labels::NONE, |mut labels, label| labels.push(label).map(|()| labels))
    }

    /// Appends one label.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if there is no room.
    pub fn push(&mut self, label: Label) -> Result<(), Rejected> {
        *self.labels.get_mut(usize::from(self.count)).ok_or(Rejected::OverLimit)? = label;
        self.count += 1;
        Ok(())
    }

    /// The labels in use.
    pub fn as_slice(&self) -> &[Label] {
        &self.labels[..usize::from(self.count)]
    }

    /// How many labels are in use.
    pub const fn count(&self) -> u8 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_order_and_their_bound() {
        let path: Vec<Label> = (1..=8).map(Label).collect();
        assert_eq!(Labels::new(&path).unwrap().as_slice(), path);
        assert_eq!(Labels::new(&[Label(1); 9]), Err(Rejected::OverLimit));
        assert_eq!(Labels::new(&[]), Ok(Labels::NONE));
    }
}
