//! Aligned columns.

use super::page::Page;

/// A table whose columns are as wide as their widest cell.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

/// A column's title and the side at which its cells are aligned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Words.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub(super) fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; an empty cell is shown as a dash.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }

    /// Writes the table, or the line `none` when it has no rows.
    pub(super) fn write(&self, page: &mut Page, none: &str) {
        if self.rows.is_empty() {
            return page.line(none);
        }
        let titles = self.columns.map(|column| column.title().to_owned());
        let widths: [usize; N] = std::array::from_fn(|i| {
            let cells = self.rows.iter().chain(std::iter::once(&titles));
            cells.map(|row| row[i].chars().count()).max().unwrap_or(0)
        });
        for row in std::iter::once(&titles).chain(&self.rows) {
            let cells: [String; N] = std::array::from_fn(|i| self.columns[i].pad(&row[i], widths[i]));
            page.line(&cells.join("  "));
        }
    }
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Column::Left(title) | Column::Right(title) => title,
        }
    }

    fn pad(self, cell: &str, width: usize) -> String {
        match self {
            Column::Left(_) => format!("{cell:<width$}"),
            Column::Right(_) => format!("{cell:>width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([Column::Left("NAME"), Column::Right("RTT"), Column::Left("NOTE")]);
        table.row(["a".into(), "12 µs".into(), String::new()]);
        table.row(["longer".into(), "3 µs".into(), "x".into()]);
        let mut page = Page::default();
        table.write(&mut page, "nothing");
        assert_eq!(page.into_text(), "NAME      RTT  NOTE\na       12 µs  -\nlonger   3 µs  x\n");
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let mut page = Page::default();
        Table::new([Column::Left("NAME")]).write(&mut page, "nothing");
        assert_eq!(page.into_text(), "nothing\n");
    }
}
